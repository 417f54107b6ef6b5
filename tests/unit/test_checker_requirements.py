"""D5 counts what was resent and what waited, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.checkers.check import all_checks
from harness.checkers.fold import fold
from harness.checkers.run_facts import RunFacts
from harness.history.records import (
    Completed,
    Connected,
    Delivered,
    DeliveredRun,
    Invoked,
    PhaseMarked,
    Record,
    ResizeCompleted,
    ResizeInvoked,
)
from harness.report.result import Check, CheckStatus
from harness.scenario.scenario import Requires


def sent(t_ns: int, n: int, count: int, attempts: int = 1, inbox: str = "x") -> list[Record]:
    ok = Completed(t_ns, 0, 7, inbox, n, count, "ok", n, 0, attempts, "")
    return [Invoked(t_ns - 1, 0, 7, inbox, n, count), ok]


def came(t_ns: int, n: int, count: int, inbox: str = "x") -> Record:
    return Delivered(t_ns, f"r-{inbox}", inbox, 1, n, False, (DeliveredRun(7, n, count, 0, 1, 0),))


def judged(records: Sequence[Record], run: RunFacts) -> Check:
    specs = [spec for spec in all_checks() if spec.id == "D5"]
    ordered = sorted(records, key=lambda record: record.t_ns)
    (check,) = fold(ordered, run, specs).checks
    return check


def status(records: Sequence[Record], requires: Requires) -> CheckStatus:
    return judged(records, RunFacts(promises=frozenset(), requires=requires)).status


BACKLOG = [
    *sent(10, 0, 5), *sent(20, 5, 5), came(30, 0, 4), *sent(40, 10, 3), came(50, 4, 9),
    # Another inbox that waits as long does not add to it.
    *sent(15, 0, 7, inbox="y"), came(60, 0, 7, inbox="y"),
]  # fmt: skip
"""10 wait in x from 20 to 30, then 6, then 9."""


@pytest.mark.parametrize(("needed", "expected"), [(10, "PASS"), (11, "UNKNOWN")])
def test_a_backlog_is_the_most_that_waited_in_one_inbox(needed: int, expected: str) -> None:
    assert status(BACKLOG, Requires(backlog=needed)) == expected


def test_what_comes_at_the_moment_of_its_acknowledgement_never_waited() -> None:
    records = [*sent(10, 0, 5), came(10, 0, 5), *sent(20, 5, 5), came(19, 5, 5)]
    assert status(records, Requires(backlog=1)) is CheckStatus.UNKNOWN


def visits(role: str, name: str, *causes: str, begun_ns: int = 1) -> list[Record]:
    return [
        Connected(begun_ns + 10 * i, 0, role, name, "eu", i % 2 == 0, cause)
        for i, cause in enumerate(causes)
    ]


EVERYBODY = [
    *visits("sender", "a", "open", "churn", "churn", "churn", "churn"),
    *visits("sender", "b", "open", "lost", "lost"),
    *visits("receiver", "c", "open", "churn", "churn"),
    PhaseMarked(500, "quiet", True),
    *visits("receiver", "reads-in-the-drain", "open", begun_ns=600),
]
"""Sender a came back twice, b and the receiver once."""


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (Requires(sender_reconnects_each=1), "PASS"),
        (Requires(sender_reconnects=3), "PASS"),
        (Requires(sender_reconnects_each=2), "UNKNOWN"),
        (Requires(receiver_reconnects_each=1), "PASS"),
        (Requires(receiver_reconnects_each=2), "UNKNOWN"),
    ],
)
def test_everybody_has_to_come_back(requires: Requires, expected: str) -> None:
    assert status([*BACKLOG, *EVERYBODY], requires) == expected


def test_who_sits_still_is_seen_among_those_who_come_and_go() -> None:
    still = visits("sender", "still", "open")
    found = status([*BACKLOG, *EVERYBODY, *still], Requires(sender_reconnects_each=1))
    assert found is CheckStatus.UNKNOWN


@pytest.mark.parametrize(("needed", "expected"), [(3, "PASS"), (4, "UNKNOWN")])
def test_only_later_attempts_count_as_resent(needed: int, expected: str) -> None:
    records = [*sent(10, 0, 5), *sent(20, 5, 3, attempts=2), came(30, 0, 8)]
    assert status(records, Requires(resent=needed)) == expected


def test_where_nothing_was_sent_again_it_is_said_when_that_is_right() -> None:
    def reason(*records: Record) -> str:
        run = RunFacts(promises=frozenset(), requires=Requires(resent=50))
        return judged([*records, came(30, 0, 8)], run).reason

    none = reason(*sent(10, 0, 5), *sent(20, 5, 3))
    assert none.startswith("0 messages acknowledged after more than one attempt, 50 required (")
    assert "Requires.resent" in none
    some = reason(*sent(10, 0, 5), *sent(20, 5, 3, attempts=2))
    assert some == "3 messages acknowledged after more than one attempt, 50 required"


def resized(t_ns: int, *outcomes: str, epoch: int = 0) -> list[Record]:
    """Return a change of bucket count, and an answer after each time that it was asked for."""
    found: list[Record] = []
    for i, outcome in enumerate(outcomes):
        at_ns = t_ns + 2 * i
        found += [
            ResizeInvoked(at_ns, "x", epoch, 5),
            ResizeCompleted(at_ns + 1, "x", epoch, 5, outcome, epoch + 1, 5, ""),
        ]
    return found


@pytest.mark.parametrize(
    ("records", "requires", "expected"),
    [
        ([*resized(20, "ok"), *resized(30, "ok", epoch=1)], Requires(), "PASS"),
        (resized(20, "ok"), Requires(), "UNKNOWN"),
        ([], Requires(), "UNKNOWN"),
        # One that was left open and is refused then has happened; one that was refused has not.
        ([*resized(20, "ok"), *resized(30, "info", "fail", epoch=1)], Requires(), "PASS"),
        ([*resized(20, "ok"), *resized(30, "fail", epoch=1)], Requires(), "UNKNOWN"),
        ([*resized(20, "ok"), *resized(30, "info", epoch=1)], Requires(), "UNKNOWN"),
        # Whoever says how many must be confirmed knows that not all of them may be.
        ([*resized(20, "ok"), *resized(30, "info", epoch=1)], Requires(resizes=1), "PASS"),
    ],
)
def test_every_planned_promotion_takes_effect(
    records: list[Record], requires: Requires, expected: str
) -> None:
    run = RunFacts(promises=frozenset(), requires=requires, promotions=2)
    assert judged([*sent(5, 0, 5), came(10, 0, 5), *records], run).status.value == expected


@pytest.mark.parametrize(
    ("churns", "expected"),
    [
        ((), "PASS"),
        (("sender",), "PASS"),
        (("receiver",), "UNKNOWN"),
        (("sender", "receiver"), "UNKNOWN"),
    ],
)
def test_a_planned_churn_makes_somebody_come_back(churns: tuple[str, ...], expected: str) -> None:
    records = [
        *sent(5, 0, 5), came(10, 0, 5), *visits("sender", "a", "open", "churn", "churn"),
        *visits("receiver", "c", "open"),
    ]  # fmt: skip
    run = RunFacts(promises=frozenset(), requires=Requires(), churns=frozenset(churns))
    assert judged(records, run).status.value == expected


def test_what_was_drawn_beside_the_plan_fulfils_nothing_that_it_requires() -> None:
    """Neither reconnects nor resends of extras count, and none of them has to come back."""
    records = [
        *sent(10, 0, 5, attempts=2), came(20, 0, 5),
        *visits("sender", "extra-0", "open", "churn", "churn"),
        *visits("sender", "a", "open"),
        *visits("receiver", "reader-X", "open", "churn", "churn"),
        *visits("receiver", "b", "open"),
    ]  # fmt: skip
    wanted = [
        (Requires(sender_reconnects=1), "PASS"),
        (Requires(receiver_reconnects=1), "PASS"),
        (Requires(resent=5), "PASS"),
    ]
    drawn = frozenset({"extra-0", "reader-X"})
    for requires, without in wanted:
        run = RunFacts(promises=frozenset(), requires=requires, senders={7: "extra-0"})
        assert judged(records, run).status == without
        assert judged(records, replace(run, extra_actors=drawn)).status is CheckStatus.UNKNOWN
    each = RunFacts(promises=frozenset(), requires=Requires(sender_reconnects_each=1))
    back = [*records, *visits("sender", "a", "open", "churn", "churn", begun_ns=2)]
    stays = [*back, *visits("sender", "extra-1", "open")]
    assert judged(stays, each).status is CheckStatus.UNKNOWN
    known = replace(each, extra_actors=frozenset({"extra-0", "extra-1"}))
    assert judged(stays, known).status is CheckStatus.PASS
