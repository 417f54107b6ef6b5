"""What is larger than the checker's budget is UNKNOWN with a reason, and a finding stays one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from harness.checkers import fold as folding
from harness.checkers import index, ranges
from harness.checkers.check import Reach, all_checks
from harness.checkers.fold import Fold, fold
from harness.checkers.ranges import Ranges
from harness.history.reader import Tail, read_cut_off
from harness.history.recorder import Recorder
from harness.history.records import (
    AckInvoked,
    Delivered,
    DeliveredRun,
    Invoked,
    Opened,
    PhaseMarked,
    Record,
)
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import plain_digest, read_written
from harness.testing.oracle import in_order
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
        monkeypatch.setattr(index, "KEPT_BYTES_MAX", 1)
    else:
        monkeypatch.setattr("harness.checkers.spill.SPILL_BYTES_MAX", 100)
    found = statuses([*sound(), delivered(40, 3)])
    assert found["A7"][0] is CheckStatus.FAIL
    assert CheckStatus.PASS not in {status for status, _ in found.values()}
    assert "budget" in found["A3"][1]


def isolated(count: int) -> Iterator[Record]:
    """Every other message of a stream comes and is acknowledged: as many intervals as messages."""
    yield Opened(1, 0, "r", "x", 1, -1, 0, "eu")
    for i in range(count):
        yield Invoked(20 * i + 2, 0, 7, "x", 2 * i, 2)
        yield msgspec.structs.replace(delivered(i, 2 * i), t_ns=20 * i + 5)
        yield AckInvoked(20 * i + 6, "r", "x", 1, i)


def of_ids(count: int) -> Iterator[Record]:
    """Only the ids are isolated: positions are read one after the other, nothing is confirmed."""
    for record in isolated(count):
        if not isinstance(record, AckInvoked):
            yield record


def of_positions(count: int) -> Iterator[Record]:
    """Only the positions are isolated, and lie below the highest: no session jumps over any."""
    yield Opened(1, 0, "r", "x", 1, -1, 0, "eu")
    yield Invoked(2, 0, 7, "x", 0, count)
    for i in range(count):
        run = DeliveredRun(7, i, 1, 0, 1, plain_digest(7, "x", i, 1))
        yield Delivered(10 * i + 5, "r", "x", 1, 2 * (count - i), True, (run,))


def of_acks(count: int) -> Iterator[Record]:
    """Nothing but acknowledgements."""
    yield Opened(1, 0, "r", "x", 1, -1, 0, "eu")
    for i in range(count):
        yield AckInvoked(10 * i + 5, "r", "x", 1, i)


@pytest.mark.parametrize("kind", [of_ids, of_positions, of_acks])
def test_each_thing_that_grows_is_weighed(kind, monkeypatch) -> None:
    monkeypatch.setattr(index, "KEPT_BYTES_MAX", 100_000)
    monkeypatch.setattr(index, "WEIGH_EVERY", 8)
    folding = Fold(RUN, None, Ranges(*SMALL))
    for record in kind(6_000):
        folding.take(record)
    assert folding.index.stopped
    assert folding.index.kept_bytes < 105_000


def test_what_is_kept_stays_bounded_whatever_comes(monkeypatch) -> None:
    monkeypatch.setattr(index, "KEPT_BYTES_MAX", 100_000)
    monkeypatch.setattr(index, "WEIGH_EVERY", 8)
    folding = Fold(RUN, None, Ranges(*SMALL))
    records = isolated(20_000)
    for record in islice(records, 300):
        folding.take(record)
    assert not folding.index.stopped
    for record in records:
        folding.take(record)
    assert folding.index.stopped
    assert folding.index.kept_bytes < 105_000
    found = {c.id: (c.status, c.reason) for c in folding.judge().checks}
    del found["D1"]  # It only counts, and never blames.
    known = {CheckStatus.UNKNOWN, CheckStatus.NOT_APPLICABLE}
    assert {status for status, _ in found.values()} <= known
    assert "at most" in found["A7"][1]
    assert "s after the begin" in found["A7"][1]


FOLDER = Path(__file__).parent.parent / "histories"
SOUND = [
    path for path in sorted(FOLDER.glob("*.json")) if not any(read_written(path).found.values())
]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.name)
def test_a_sound_history_is_never_blamed_for_where_it_stopped(path: Path) -> None:
    written = read_written(path)
    records = in_order(written.records)
    run = run_facts(frozenset(Promise) - written.without, trims=written.trims)
    for count in range(len(records)):
        folding = Fold(run)
        for record in records[:count]:
            folding.take(record)
        folding.index._stopped = "full"
        folding.take(records[count])
        blamed = {CheckStatus.FAIL, CheckStatus.ERROR}
        assert not [c for c in folding.judge().checks if c.status in blamed], count


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
