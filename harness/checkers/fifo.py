"""B1, B2, B3: do the messages of one sender keep their order?

B1 holds for every system (a send that was acknowledged before the next one began), B2 for those
that promise order within a pipeline, B3 for those whose log holds a prefix of what each sender
sent. All are exact for ranges: within a piece n, position and time rise together, so only pieces
have to be compared. O(pieces log pieces).
"""

from __future__ import annotations

import numpy as np

from harness.checkers import clues
from harness.checkers.check import Found, Reach, check
from harness.checkers.extent import extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import (
    KEY_BITS,
    NEVER,
    NUMBER_LIMIT,
    Column,
    Spans,
    depths,
    highest_before,
    split,
)
from harness.checkers.lines import Lines
from harness.systems.promises import Promise


@check(
    "B1",
    "FIFO-SYNC",
    "sent after an earlier one was acknowledged, and placed before it",
    reach=Reach.PARTS,
)
def fifo_sync(facts: Facts) -> Found:
    """Same sender and inbox: C(n) < I(n') and pos(n) > pos(n'). Instances are the n'."""
    pieces = facts.pieces
    lines = pieces.lines
    ok = pieces.ok < NEVER
    floor = highest_before(
        lines.stream[ok],
        pieces.ok[ok],
        (lines.pos + lines.count - 1)[ok],
        lines.stream,
        pieces.invoked,
    )
    wrong = np.clip(floor - lines.pos, 0, lines.count)
    wrong = np.where(facts.later.ok_ns(lines.stream) < pieces.invoked, lines.count, wrong)
    return Found(
        examined=int(lines.count.sum()),
        instances=int(wrong.sum()),
        extent=extent_of(facts, Spans.of(lines.key, lines.key + wrong)),
        clues=clues.of_counts(
            facts,
            lines,
            wrong,
            lambda _key: "lies before one of its sender that was acknowledged before it was sent",
            lambda rows: clues.holders(lines, lines.inbox[rows], floor[rows]),
        ),
    )


def reordered(facts: Facts) -> tuple[Lines, Column, Column]:
    """Return (runs of the log, how many messages at the begin of each are out of order, why).

    A message is out of order if a later one of its sender lies at a lower position; the latest of
    these is the reason, as a key, -1 for none.
    """
    lines = _disjoint_positions(facts.log)
    n = lines.key & (NUMBER_LIMIT - 1)
    last = lines.pos + lines.count - 1
    highest = highest_before(lines.stream, last, n + lines.count - 1, lines.stream, lines.pos)
    reason = np.where(highest < 0, -1, lines.stream << KEY_BITS | np.maximum(highest, 0))
    return lines, np.clip(highest - n, 0, lines.count), reason


def _disjoint_positions(log: Lines) -> Lines:
    """Cut the log so that no two runs of one stream overlap in positions, but for single messages.

    They overlap only in a log that is broken already (A6); a sound one is returned as it is.
    """
    begin = log.stream << KEY_BITS | log.pos
    stretch, stop, depth = depths(begin, begin + log.count)
    broken = Spans(stretch[depth > 1], stop[depth > 1])
    if not broken:
        return log
    singles = np.concatenate(
        [np.arange(a, b + 1) for a, b in zip(broken.begins, broken.ends, strict=True)]
    )
    origin, cut, cut_end = split(begin, begin + log.count, np.unique(singles))
    key = log.key[origin] + cut - begin[origin]
    return Lines(
        key,
        key + cut_end - cut,
        log.pos[origin] + cut - begin[origin],
        log.inbox[origin],
        log.stream[origin],
    )


@check(
    "B2",
    "FIFO-PIPE",
    "placed behind a later one of the same sender",
    needs=Promise.FIFO_PIPELINED,
    reach=Reach.PARTS,
)
def fifo_pipe(facts: Facts) -> Found:
    """Same sender and inbox: n < n', both in the log, pos(n) > pos(n'). Instances are the n."""
    lines, wrong, reason = reordered(facts)
    return Found(
        examined=int(lines.count.sum()),
        instances=int(wrong.sum()),
        extent=extent_of(facts, Spans.of(lines.key, lines.key + wrong)),
        clues=clues.of_counts(
            facts,
            lines,
            wrong,
            lambda _key: "lies behind a later one of the same sender",
            lambda rows: reason[rows],
        ),
    )


@check(
    "B3",
    "FIFO-HOLE",
    "missing though a later one of the same sender was delivered",
    needs=Promise.PREFIX,
    reach=Reach.KEYS,
)
def fifo_hole(facts: Facts) -> Found:
    """With n' in R and n < n': every n that is OK or INFO is in R at drain.

    Holes of unknown sends are told apart in the witnesses.
    """
    examined, missing = holes(facts)
    return Found(
        examined=examined,
        instances=missing.count,
        extent=extent_of(facts, missing, gone=True),
        clues=clues.of_spans(
            facts,
            missing,
            lambda key: (
                f"({'acknowledged' if facts.ok.contains(np.array([key]))[0] else 'unknown'}) was "
                "not delivered, though a later one of its sender was"
            ),
        ),
        unknown=facts.not_drained(),
    )


def holes(facts: Facts) -> tuple[int, Spans]:
    """Return (how many were looked at, what misses below a delivered one of its sender)."""
    top = facts.sent_end
    streams = np.flatnonzero(top >= 0)
    streams = streams[facts.drained[facts.stream_inbox[streams]]] if len(streams) else streams
    below = Spans(streams << KEY_BITS, top[streams]).both(facts.invoked)
    return below.count, below.minus(facts.delivered).minus(facts.failed)
