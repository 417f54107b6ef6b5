"""A8, A10, A11, B7: does a session deliver every position once, and in order?

Redelivery is legal for at-least-once delivery if it is marked as such. A session that marks what
cannot have been sent before, because it is the inbox's first and had not delivered it itself, marks
at will: then its marks excuse nothing. What a session delivered is kept as intervals while the
records pass, so the cost is O(1) amortised per record.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.entries import Oddity, Session
from harness.checkers.facts import Facts
from harness.checkers.intervals import KEY_BITS, NUMBER_LIMIT, Spans, column
from harness.history.records import Delivered
from harness.systems.promises import Promise


@check(
    "A8",
    "DUP-SESSION",
    "one position twice in one session, without a redelivery mark",
    reach=Reach.ONCE,
)
def dup_session(facts: Facts) -> Found:
    """Instances are deliveries of a position that the session had delivered before, unmarked."""
    return _found(facts, facts.index.repeats, "delivered again, unmarked, positions from")


@check("A10", "NONMONOTONIC", "positions that do not rise within a session", reach=Reach.ONCE)
def nonmonotonic(facts: Facts) -> Found:
    """Instances are unmarked deliveries at or below the session's highest position."""
    return _found(facts, facts.index.steps_back, "went back, unmarked, to positions from")


@check(
    "B7",
    "LATE",
    "delivered for the first time behind a higher position",
    needs=Promise.MERGE_WATERMARK,
    reach=Reach.ONCE,
)
def late(facts: Facts) -> Found:
    """First-ever delivery of pos q after that of p > q on one consumer lineage."""
    return _found(facts, facts.index.late, "delivered late, for the first time, positions from")


def _found(facts: Facts, oddity: Oddity, what: str) -> Found:
    def tell(record: Delivered) -> str:
        return f"{record.reader} {what} {record.pos_first} of {record.inbox} on"

    return Found(
        examined=facts.index.delivered_count,
        instances=oddity.count,
        clues=clues.of_oddity(oddity, tell),
        unknown="" if facts.index.delivered_count else "nothing was delivered",
    )


@check(
    "A11",
    "SKIP-INTERNAL",
    "a session jumped over a position that holds a message",
    reach=Reach.ONCE,
)
def skip_internal(facts: Facts) -> Found:
    """Instances are positions, per session. With dense positions every position holds one."""
    jumps = [
        (session, first, stop) for session in facts.index.sessions for first, stop in session.jumps
    ]
    instances, found = skipped(facts, jumps, "jumped over")
    return Found(
        examined=facts.index.delivered_count,
        instances=instances,
        clues=found,
        unknown="" if facts.index.delivered_count else "nothing was delivered",
    )


def skipped(
    facts: Facts, gaps: Iterable[tuple[Session, int, int]], did: str
) -> tuple[int, list[Clue]]:
    """Return (positions that hold a message, clues) of the stretches [first, stop) of sessions."""
    instances = 0
    found: list[Clue] = []
    dense = facts.promised(Promise.DENSE_POSITIONS)
    held = None if dense else facts.totals.held
    for session, first, stop in gaps:
        base = session.inbox << KEY_BITS
        stretch = Spans(column([base + first]), column([base + stop]))
        missed = stretch if held is None else stretch.both(held)
        instances += missed.count
        if missed and len(found) < WITNESSES_MAX:
            pos = int(missed.begins[0]) & (NUMBER_LIMIT - 1)
            reader = facts.index.readers[session.reader][0]
            inbox = facts.index.inboxes[session.inbox]
            found.append(
                Clue(
                    summary=(
                        f"session {session.number} of {reader} {did} {missed.count} positions of "
                        f"{inbox} that hold messages, from {pos} on"
                    ),
                    inbox=inbox,
                    pos=pos,
                )
            )
    return instances, found
