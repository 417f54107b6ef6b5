"""A16: is a delivery marked as a redelivery if, and only if, it may be one?

A consumer that handles each message once looks at the mark: where it is missing, a repetition is
handled twice; where it is always there, it says nothing, and hides what A8 and A10 look for.
"""

from __future__ import annotations

from collections import defaultdict

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.entries import Session
from harness.checkers.facts import Facts
from harness.checkers.intervals import Spans, column
from harness.systems.promises import Promise


@check(
    "A16",
    "WRONG-MARK",
    "a redelivery without its mark, or a mark on what cannot have been sent before",
    needs=Promise.REDELIVERY_MARKS,
    reach=Reach.ONCE,
)
def wrong_mark(facts: Facts) -> Found:
    """Look for redeliveries without a mark, and for marks on what is none.

    A redelivery is a position that a session with a lower number had. None is what lies beyond all
    that had been invoked when the session opened; that needs dense positions, since only then the
    number of messages bounds what can have been given out. A link between nodes that was lost makes
    such marks right, and nobody but the nodes sees that; so they are wrong only where not one such
    delivery came without, and no node or link between nodes had been disturbed. Instances are
    positions, per session.
    """
    index = facts.index
    by_inbox: dict[int, list[Session]] = defaultdict(list)
    for session in index.sessions:
        by_inbox[session.inbox].append(session)
    found: list[Clue] = []
    instances = 0
    for inbox, sessions in by_inbox.items():
        earlier = Spans.empty()
        same_number = Spans.empty()
        number = -1
        for session in sorted(sessions, key=lambda one: one.number):
            if session.number != number:
                earlier, same_number = earlier.union(same_number), Spans.empty()
                number = session.number
            delivered = session.delivered.spans()
            missing = delivered.minus(session.marked.spans()).both(earlier)
            same_number = same_number.union(delivered)
            if missing:
                instances += missing.count
                found.append(_unmarked(facts, session, index.inboxes[inbox], missing))
    if facts.promised(Promise.DENSE_POSITIONS) and not index.unmarked_new:
        instances += index.marked_new.count
        found += clues.of_oddity(
            index.marked_new,
            lambda record: (
                f"session {record.session} of {record.reader} was sent positions from "
                f"{record.pos_first} of {record.inbox} on as redelivered, which no earlier session "
                "can have been sent"
            ),
        )
    return Found(
        examined=index.delivered_count,
        instances=instances,
        clues=found[:WITNESSES_MAX],
        unknown="" if index.delivered_count else "nothing was delivered",
    )


def _unmarked(facts: Facts, session: Session, inbox: str, missing: Spans) -> Clue:
    reader = facts.index.readers[session.reader][0]
    pos = int(column(missing.begins)[0])
    return Clue(
        summary=(
            f"session {session.number} of {reader} was sent {missing.count} positions of {inbox}, "
            f"from {pos} on, that an earlier session had, without a mark"
        ),
        inbox=inbox,
        pos=pos,
    )
