"""E2: the same quiet inboxes, in baselines and beside a loud one, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.checkers.check import all_checks
from harness.checkers.fold import Judgement, fold
from harness.checkers.run_facts import RunFacts
from harness.history.records import Completed, Delivered, DeliveredRun, Invoked, PhaseMarked, Record
from harness.report.result import CheckStatus
from harness.scenario.scenario import Requires

MS = 1_000_000


class History:
    """Loads one after the other, each second one message per ms from a producer per inbox."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._n: dict[str, int] = {}
        self._now = 0

    def load(self, label: str, waits_ms: dict[str, int], count: int = 1_000) -> None:
        begin = self._now
        self.records.append(PhaseMarked(begin, f"load:{label}", True))
        for inbox, wait_ms in waits_ms.items():
            for index in range(count):
                self._send(inbox, begin + index * MS, wait_ms * MS)
        self._now = begin + count * MS
        self.records.append(PhaseMarked(self._now, f"load:{label}", False))

    def _send(self, inbox: str, due: int, wait: int) -> None:
        n = self._n.get(inbox, 0)
        self._n[inbox] = n + 1
        producer = sum(inbox.encode())
        run = DeliveredRun(producer, n, 1, 0, 1, 0)
        self.records += [
            Invoked(due + 10, 0, producer, inbox, n, 1, due),
            Completed(due + wait, 0, producer, inbox, n, 1, "ok", n, 0, 1, ""),
            Delivered(due + wait, f"r-{inbox}", inbox, 1, n, False, (run,)),
        ]

    def judge(self) -> Judgement:
        records: Sequence[Record] = sorted(self.records, key=lambda record: record.t_ns)
        specs = [spec for spec in all_checks() if spec.id == "E2"]
        return fold(records, RunFacts(promises=frozenset(), requires=Requires()), specs)


def test_only_watched_inboxes_count_and_only_in_their_loads() -> None:
    history = History()
    history.load("baseline", {"a": 4, "b": 4})
    history.load("loud", {"a": 12, "b": 12, "vip": 900})
    history.load("baseline", {"a": 8, "b": 8})
    history.load("louder", {"a": 80, "b": 80, "vip": 2_000})
    judged = history.judge()
    (check,) = judged.checks
    assert [(one.label, one.ack_p99_ratio) for one in judged.load_latency_ms] == [
        ("baseline", None), ("loud", 1.5), ("louder", 10.0),
    ]  # fmt: skip
    assert [one.ack.count for one in judged.load_latency_ms if one.ack] == [4_000, 2_000, 2_000]
    assert check.status is CheckStatus.PASS
    assert check.instances == 1
    assert (
        "baseline 8.0 ms; loud 12.0 ms (1.50 times); louder 80.0 ms (10.00 times)" in check.reason
    )


@pytest.mark.parametrize(
    ("loads", "says"),
    [
        ((("loud", 1_000),), "no load was labelled as the baseline"),
        ((("baseline", 1_000),), "only a baseline was run"),
        ((("baseline", 1_000), ("loud", 999)), "too few messages in loud"),
    ],
)
def test_what_cannot_be_compared_is_unknown(loads: list[tuple[str, int]], says: str) -> None:
    history = History()
    for label, count in loads:
        history.load(label, {"a": 5}, count)
    (check,) = history.judge().checks
    assert check.status is CheckStatus.UNKNOWN
    assert says in check.reason


def test_without_labels_it_does_not_apply() -> None:
    assert fold(
        [PhaseMarked(1, "load", True)],
        RunFacts(promises=frozenset(), requires=Requires()),
        [spec for spec in all_checks() if spec.id == "E2"],
    ).checks[0].status is CheckStatus.NOT_APPLICABLE  # fmt: skip
