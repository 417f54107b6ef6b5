"""D8 and D9: what a machine that is busy, and a history that is cut off, excuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.checkers.check import all_checks
from harness.checkers.fold import fold
from harness.checkers.gauges import LAG_GAUGE, LOAD_LAG_GAUGE
from harness.checkers.run_facts import RunFacts
from harness.history.records import FaultMarked, GaugeSeen, Record
from harness.report.result import CheckStatus
from harness.scenario.scenario import Requires
from harness.systems.promises import Promise
from harness.testing.histories import read_written
from harness.testing.oracle import in_order

HISTORIES = Path(__file__).parent.parent / "histories"
WITHHELD = "D8-delivered-every-two-seconds.bad.json"
KEPT = "D9-a-silent-link-is-kept.bad.json"
SHOWN = "D6-online-behind-a-long-cut.bad.json"


def records_of(name: str) -> list[Record]:
    return read_written(HISTORIES / name).records


def status(name: str, records: Sequence[Record], **changes: Any) -> CheckStatus:
    run = RunFacts(promises=frozenset(Promise), requires=Requires())
    specs = [spec for spec in all_checks() if spec.id == name.partition("-")[0]]
    (check,) = fold(in_order(records), replace(run, **changes), specs).checks
    return check.status


@pytest.mark.parametrize("gauge", [LAG_GAUGE, LOAD_LAG_GAUGE])
@pytest.mark.parametrize(("name", "excused_ms"), [(WITHHELD, 251), (KEPT, 1_001)])
def test_twice_the_worst_lateness_is_granted(name: str, excused_ms: int, gauge: str) -> None:
    for late_ms, expected in ((excused_ms - 2, "FAIL"), (excused_ms, None)):
        seen = GaugeSeen(1, "somebody", 0, gauge, late_ms * 1_000, -1)
        found = status(name, [*records_of(name), seen])
        assert (found.value == "FAIL") == (expected == "FAIL")


def test_without_a_time_there_is_nothing_to_hold_a_delivery_against() -> None:
    records = records_of(WITHHELD)
    assert status(WITHHELD, records) is CheckStatus.FAIL
    assert status(WITHHELD, records, delivery_bound_ns=0) is CheckStatus.NOT_APPLICABLE


@pytest.mark.parametrize("changes", [{"torn": True}, {"killed": frozenset({1})}])
def test_a_session_whose_end_may_be_missing_is_not_held_against_anybody(
    changes: dict[str, Any],
) -> None:
    kept = "D9-a-stopped-edge-is-kept.bad.json"
    assert status(kept, records_of(kept)) is CheckStatus.FAIL
    assert status(kept, records_of(kept), **changes) is CheckStatus.NOT_APPLICABLE


@pytest.mark.parametrize("name", [KEPT, SHOWN])
def test_a_history_that_does_not_say_when_healing_began_proves_no_silence(name: str) -> None:
    records = [r for r in records_of(name) if getattr(r, "state", "") != "healing"]
    assert status(name, records) is not CheckStatus.FAIL


@pytest.mark.parametrize("name", [KEPT, SHOWN])
def test_a_fault_without_effect_is_no_silence(name: str) -> None:
    records = [
        msgspec.structs.replace(r, effective=False) if isinstance(r, FaultMarked) else r
        for r in records_of(name)
    ]
    assert status(name, records) is not CheckStatus.FAIL
