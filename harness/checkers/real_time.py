"""B4, B5: does the log extend real time?

With known positions the total order is fixed, so no search is needed: give an append at position p
the key 2p, and a read "nothing beyond p" the key 2p + 1. The history is linearizable if and only if
no two operations have key(i) > key(j) and U(i) < I(j) (the condition behind Porcupine's search,
Herlihy and Wing 1990). Both forms are computed: in the order of time, which counts every instance,
and in the order of the log, which only answers yes or no; if they differ, the check is broken.
Exact for ranges, since the messages of a piece share I and U. O(pieces log pieces).
"""

from __future__ import annotations

import numpy as np

from harness.checkers import clues
from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.extent import extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import NEVER, Column, Spans, highest_before, marks
from harness.checkers.lines import Pieces
from harness.systems.promises import Promise


def placed_in_the_past(pieces: Pieces) -> tuple[Column, Column]:
    """Return how many messages at the begin of each piece lie below one completed before them.

    The form in the order of time: at an invocation the floor is the highest position proven
    complete, and the message must not lie below it. The floor is returned too; -1 where none is.
    """
    lines, until = pieces.lines, pieces.until
    done = until < NEVER
    floor = highest_before(
        lines.inbox[done],
        until[done],
        (lines.pos + lines.count - 1)[done],
        lines.inbox,
        pieces.invoked,
    )
    return np.clip(floor - lines.pos, 0, lines.count), floor


def is_linearizable(pieces: Pieces) -> bool:
    """Return the answer of the form in the order of the log.

    Scan by position and keep the largest I of lower positions; none may exceed the present U.
    """
    lines = pieces.lines
    moments = marks(pieces.invoked, pieces.until)
    invoked = np.searchsorted(moments, pieces.invoked)
    latest = highest_before(
        lines.inbox, lines.pos, invoked, lines.inbox, lines.pos + lines.count - 1
    )
    return not bool((latest > np.searchsorted(moments, pieces.until)).any())


@check(
    "B4",
    "REALTIME",
    "placed before one that was complete when it was sent",
    needs=Promise.LINEARIZABLE_APPEND,
    reach=Reach.PARTS,
)
def realtime(facts: Facts) -> Found:
    """m, m' in L, pos(m) < pos(m'), U(m') < I(m). Instances are the m.

    Raises:
        AssertionError: The two forms disagree, so one of them is wrong.
    """
    pieces = facts.pieces
    lines = pieces.lines
    wrong, floor = placed_in_the_past(pieces)
    if is_linearizable(pieces) != (not wrong.any()):
        raise AssertionError("the orders of time and of the log disagree about linearizability")
    wrong = np.where(facts.later.until_ns(lines.inbox) < pieces.invoked, lines.count, wrong)
    return Found(
        examined=int(lines.count.sum()),
        instances=int(wrong.sum()),
        extent=extent_of(facts, Spans.of(lines.key, lines.key + wrong)),
        clues=clues.of_counts(
            facts,
            lines,
            wrong,
            lambda _key: "lies before one that was complete when it was sent",
            lambda rows: clues.holders(lines, lines.inbox[rows], floor[rows]),
        ),
    )


@check(
    "B5",
    "STALE-END",
    "an end was read that lies before, or beyond, what it must have been",
    needs=Promise.LINEARIZABLE_END,
    reach=Reach.PARTS,
)
def stale_end(facts: Facts) -> Found:
    """Check end reads against appends and each other.

    An end(x, p) is stale if something beyond p was complete before it was asked, be it a message
    or another end. A message sent after end(x, p) completed must lie beyond p. Instances are
    reads, and messages.
    """
    inbox, asked, t, pos, _ = facts.index.ends.columns()
    # An end of -1 claims nothing but emptiness, so it proves nothing to later operations.
    known = pos >= 0
    lines = facts.pieces.lines
    ahead = highest_before(inbox[known], t[known], pos[known], lines.inbox, facts.pieces.invoked)
    early = np.clip(ahead + 1 - lines.pos, 0, lines.count)
    floor = np.full(len(pos), -1, dtype=np.int64)
    if facts.is_last:
        ends_before = highest_before(inbox[known], t[known], pos[known], inbox, asked)
        floor = np.maximum(ends_before, facts.totals.end_floor)
    stale = floor > pos
    found = [
        Clue(
            summary=(
                f"the end of {facts.index.inboxes[inbox[i]]} was read as {pos[i]} at "
                f"{clues.seconds(int(t[i]))}, though {floor[i]} had been complete before it was "
                "asked"
            ),
            inbox=facts.index.inboxes[inbox[i]],
            pos=int(floor[i]),
        )
        for i in np.flatnonzero(stale)[:WITNESSES_MAX]
    ]
    found += clues.of_counts(
        facts,
        lines,
        early,
        lambda _key: "was sent after an end had been read that lies at or beyond it",
    )
    return Found(
        examined=len(pos) if facts.is_last else 0,
        instances=int(stale.sum()) + int(early.sum()),
        clues=found,
        unknown="" if len(pos) else "no end was read",
    )
