"""What is larger than the checker's budget is UNKNOWN with a reason, and a finding stays one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkers import fold as folding
from harness.checkers import index, ranges
from harness.checkers.check import Reach, all_checks
from harness.checkers.fold import fold
from harness.checkers.ranges import Ranges
from harness.history.reader import Tail, read_cut_off
from harness.history.recorder import Recorder
from harness.history.records import Delivered, DeliveredRun, Invoked, PhaseMarked, Record
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import plain_digest
from harness.testing.oracle_campaign import run_facts

RUN = run_facts(frozenset(Promise))
SMALL = (4, 4, 1)


def delivered(pos: int, n: int) -> Delivered:
    run = DeliveredRun(7, n, 1, 0, 1, plain_digest(7, "x", n, 1))
    return Delivered(10 * pos + 5, "r", "x", 1, pos, False, (run,))


def sound(count: int = 40) -> list[Record]:
    pairs = ((Invoked(10 * n, 0, 7, "x", n, 1), delivered(n, n)) for n in range(count))
    return [record for pair in pairs for record in pair]


def statuses(records: list[Record]) -> dict[str, tuple[CheckStatus, str]]:
    checks = fold(records, RUN, None, Ranges(*SMALL)).checks
    return {c.id: (c.status, c.reason) for c in checks}


def test_several_parts_are_judged_as_one_would_be() -> None:
    found = statuses(sound())
    whole = {c.id: (c.status, c.reason) for c in fold(sound(), RUN).checks}
    assert found == whole
    assert found["B2"][0] is found["B6"][0] is CheckStatus.PASS


def test_a_check_that_must_see_everything_says_that_it_cannot(monkeypatch) -> None:
    monkeypatch.setattr(ranges, "PART_ROWS_MAX", 60)
    found = statuses(sound())
    assert found["B6"][0] is CheckStatus.UNKNOWN
    assert "at once" in found["B6"][1]
    assert found["B2"][0] is CheckStatus.PASS


def test_parts_that_hang_together_and_are_too_large_are_unknown(monkeypatch) -> None:
    # The first message of all comes last once more, at another position.
    records = [*sound(), delivered(40, 0)]
    assert statuses(records)["A7"][0] is CheckStatus.FAIL
    monkeypatch.setattr(ranges, "PART_ROWS_MAX", 40)
    found = statuses(records)
    assert found["A7"][0] is CheckStatus.FAIL
    assert found["A6"][0] is CheckStatus.UNKNOWN
    assert "budget" in found["A6"][1]
    for spec in all_checks():
        if spec.reach is Reach.PARTS:
            assert found[spec.id][0] is not CheckStatus.PASS


@pytest.mark.parametrize("what", ["kept", "disk"])
def test_beyond_the_budget_nothing_passes_and_a_finding_stays(what: str, monkeypatch) -> None:
    if what == "kept":
        monkeypatch.setattr(index, "KEPT_MAX", 1)
    else:
        monkeypatch.setattr("harness.checkers.spill.SPILL_BYTES_MAX", 100)
    found = statuses([*sound(), delivered(40, 3)])
    assert found["A7"][0] is CheckStatus.FAIL
    assert CheckStatus.PASS not in {status for status, _ in found.values()}
    assert "budget" in found["A3"][1]


def test_the_budget_is_one_of_named_numbers() -> None:
    assert folding.PART_ROWS_MAX == ranges.PART_ROWS_MAX


def test_what_was_cut_off_streams_up_to_what_all_have_written(tmp_path: Path) -> None:
    first = Recorder(tmp_path / "0000.msgpack", "run", "one")
    second = Recorder(tmp_path / "0001.msgpack", "run", "two")
    first.write_now([Invoked(n * 10**9, 0, 7, "x", n, 1) for n in range(10)])
    second.write_now([PhaseMarked(10**9 + 5, "load", True)])
    second.beat(4 * 10**9)
    tail = Tail(tmp_path)
    told = tail.poll()
    tail.close()
    assert list(read_cut_off(tmp_path)) == told
    assert [r.t_ns for r in told if isinstance(r, Invoked)] == [n * 10**9 for n in range(4)]
    second.close()
    assert len(list(read_cut_off(tmp_path))) > len(told)
