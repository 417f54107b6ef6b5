"""C8: has the store everything that the log has?

What was acknowledged or delivered before an inspection began must be among what it found, unless
the system may have dropped it. A reader cannot see this: it may be served from memory, and what was
read once is not asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.checkers import clues
from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.extent import Extent, extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import Spans, Steps, column
from harness.checkers.resume import attempted
from harness.checkers.stored import why_unknown
from harness.systems.promises import Promise


@check(
    "C8",
    "UNSTORED",
    "in the log before an inspection of the store began, and not found by it",
    needs=Promise.BUCKETS,
    reach=Reach.KEYS,
)
def unstored(facts: Facts) -> Found:
    """Look for m in L with U(m) before a complete inspection of its inbox that lacks m.

    Where the store drops what was acknowledged, only what lies behind every acknowledgement that
    was tried before the inspection ended is looked for. Instances are messages, once per inspection
    that lacks them.
    """
    examined = instances = told = 0
    found: list[Clue] = []
    extent = Extent()
    for expected, asked_ns, _, missing in missing_in_store(facts):
        told += 1
        examined += expected
        instances += missing.count
        found += clues.of_spans(
            facts, missing, lambda _key: "was in the log and is not found in the store"
        )
        if missing:
            seen = Steps.of(missing.begins, missing.ends, np.full(len(missing.begins), asked_ns))
            extent = extent.plus(extent_of(facts, missing, seen, gone=True))
    unknown = why_unknown(facts.index, trims=facts.run.trims)
    if not unknown and not told:
        unknown = "no inspection says when it began"
    dropped_all = not unknown and not examined
    return Found(
        examined=examined,
        instances=instances,
        clues=found,
        extent=extent,
        unknown=unknown,
        not_applicable="the store may have dropped all that the log has" if dropped_all else "",
    )


def missing_in_store(facts: Facts) -> Iterator[tuple[int, int, int, Spans]]:
    """Yield (messages expected, when it was asked for, its number, what it lacks) per inspection.

    Only complete inspections that say when they were asked for.
    """
    snapshots = facts.index.inspections.snapshots
    if not snapshots or not facts.promised(Promise.BUCKETS):
        return
    found_keys = {table.inspection: table.key for table in facts.stored}
    pieces = facts.pieces
    lines = pieces.lines
    cursors = attempted(facts) if facts.run.trims else None
    for number, snapshot in enumerate(snapshots):
        if not snapshot.complete or snapshot.asked_ns < 0:
            continue
        inbox = facts.index.inboxes[snapshot.inbox]
        settled = (lines.inbox == snapshot.inbox) & (pieces.until < snapshot.asked_ns)
        begin, end, pos = lines.key[settled], lines.end[settled], lines.pos[settled]
        if cursors is not None:
            # What was acknowledged behind its end explains nothing that it did not find.
            dropped = cursors.before(inbox, snapshot.ended_ns + 1)
            begin = begin + np.maximum(dropped + 1 - pos, 0)
            begin, end = begin[begin < end], end[begin < end]
        expected = Spans.of(begin, end)
        keys = found_keys.get(number, column([]))
        missing = expected.minus(Spans.of(keys, keys + 1))
        yield expected.count, snapshot.asked_ns, number, missing
