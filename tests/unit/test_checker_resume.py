"""A9, A12, A13 say something only of sessions that resumed."""

from __future__ import annotations

import pytest

from harness.checkers.fold import fold
from harness.history.records import (
    AckCompleted,
    AckInvoked,
    Completed,
    Delivered,
    DeliveredRun,
    Invoked,
    Opened,
    Record,
)
from harness.systems.promises import Promise
from harness.testing.histories import plain_digest
from harness.testing.oracle_campaign import run_facts

ROWS = ("A9", "A12", "A13")


def delivered(t_ns: int, session: int, pos: int) -> Record:
    run = DeliveredRun(7, pos, 1, 0, 1, plain_digest(7, "x", pos, 1))
    return Delivered(t_ns, "r", "x", session, pos, False, (run,))


SENT = [Invoked(1, 0, 7, "x", 0, 2), Completed(2, 0, 7, "x", 0, 2, "ok", 0, 0, 1, "")]
FIRST = [Opened(4, 3, "r", "x", 1, -2, 0, "eu"), delivered(5, 1, 0)]
ACKED = [AckInvoked(6, "r", "x", 1, 0), AckCompleted(7, "r", "x", 1, 0, "ok")]
SECOND = [Opened(9, 8, "r", "x", 2, -2, 1, "eu"), delivered(10, 2, 1)]
NAMED = [Opened(9, 8, "r", "x", 2, 0, 1, "eu"), delivered(10, 2, 1)]


def rows(records: list[Record]) -> dict[str, tuple[str, int]]:
    checks = fold(records, run_facts(frozenset(Promise))).checks
    return {c.id: (c.status.value, c.examined) for c in checks if c.id in ROWS}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (SENT, ("UNKNOWN", 0)),
        ([*SENT, *FIRST], ("NOT_APPLICABLE", 0)),
        # A second login that had nothing behind it is a first one again.
        ([*SENT, *FIRST, Opened(9, 8, "r", "x", 2, -2, 0, "eu")], ("NOT_APPLICABLE", 0)),
        ([*SENT, *FIRST, *ACKED, *SECOND], ("PASS", 1)),
    ],
)
def test_a_first_login_resumes_nothing(records: list[Record], expected: tuple[str, int]) -> None:
    assert rows(records) == dict.fromkeys(ROWS, expected)


def test_a_place_that_was_named_is_resumed_from_without_any_cursor() -> None:
    assert rows([*SENT, *FIRST, *NAMED])["A12"] == ("PASS", 1)
    assert rows([*SENT, *FIRST, *NAMED])["A13"] == ("PASS", 1)


def test_a_first_login_that_begins_too_late_is_found_all_the_same() -> None:
    late = [Opened(4, 3, "r", "x", 1, -2, 1, "eu"), delivered(5, 1, 1)]
    assert rows([*SENT, *late])["A12"][0] == "FAIL"
