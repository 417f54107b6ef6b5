"""The checkers agree with a brute-force judge on thousands of small random histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers.check import Spec, all_checks
from harness.checkers.facts import RunFacts
from harness.checkers.fold import fold
from harness.history.records import Record
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import Scribbler, plain_digest
from harness.testing.oracle import oracle

CASES = 1000
CHOICE = (Promise.DENSE_POSITIONS, Promise.FIFO_PIPELINED)
COMPARED = (
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13",
    "B1", "B2", "B3", "B4", "B5", "B6", "B7", "C2", "C3", "C4", "C5", "D1",
)  # fmt: skip


@dataclass(frozen=True)
class Requires:
    """Nothing is required of so small a history."""

    sends_ok: int = 0
    delivered: int = 0
    sender_reconnects: int = 0
    receiver_reconnects: int = 0
    resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0


def compared_checks() -> list[Spec]:
    return [spec for spec in all_checks() if spec.id in COMPARED]


def judge_both(
    records: list[Record], promises: frozenset[Promise]
) -> tuple[dict[str, int], dict[str, int], dict[str, CheckStatus]]:
    """Return instances by the checkers and by the oracle, where the checks apply, and statuses."""
    run = RunFacts(promises=promises, requires=Requires(), expected_digest=plain_digest)
    checks = fold(records, run, compared_checks()).checks
    errors = [c for c in checks if c.status is CheckStatus.ERROR]
    assert not errors
    mine = {c.id: c.instances for c in checks if c.status is not CheckStatus.NOT_APPLICABLE}
    truth = oracle(records, run)
    return mine, {i: truth.get(i, 0) for i in mine}, {c.id: c.status for c in checks}


@settings(max_examples=CASES, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**40), kept=st.sets(st.sampled_from(CHOICE)))
def test_the_checkers_agree_with_the_oracle(seed: int, kept: set[Promise]) -> None:
    promises = frozenset(set(Promise) - set(CHOICE) | kept)
    mine, truth, _ = judge_both(Scribbler(seed).write(), promises)
    assert mine == truth


def test_the_random_histories_hold_every_anomaly_and_many_hold_none() -> None:
    """Otherwise the agreement above would be worth little."""
    found: Counter[str] = Counter()
    clean = 0
    promises = frozenset(Promise)
    for seed in range(300):
        _, truth, _ = judge_both(Scribbler(seed).write(), promises)
        found.update(anomaly for anomaly, count in truth.items() if count)
        clean += not any(count for anomaly, count in truth.items() if anomaly != "D1")
    assert set(found) == set(COMPARED)
    assert clean > 20
