"""B6: do all readers of an inbox see one order?

The canonical reader's first deliveries number the messages; whoever else delivers them must deliver
rising numbers. This needs no positions, so it also judges systems that give none that can be
compared. O(ranges log ranges).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from harness.checkers import clues
from harness.checkers.check import Found, check
from harness.checkers.facts import Facts
from harness.checkers.intervals import Column, Spans, Steps, highest_before, split
from harness.systems.promises import Promise


@check(
    "B6",
    "ORDER-DISAGREE",
    "two readers delivered two messages in opposite order",
    needs=Promise.TOTAL_ORDER,
)
def order_disagree(facts: Facts) -> Found:
    """Instances are messages that a reader delivered behind one the canonical reader had later.

    With a single reader per inbox there is nothing to disagree with: its deliveries are examined
    for nothing but being there.
    """
    others = {
        reader: facts.canonical[inbox]
        for reader, (_, inbox) in enumerate(facts.index.readers)
        if inbox in facts.canonical and facts.canonical[inbox] != reader
    }
    instances = 0
    found = []
    for reader, canonical in others.items():
        key, wrong = _out_of_order(_first_order(facts, canonical), _first_order(facts, reader))
        instances += int(wrong.sum())
        tell = partial(_tell, facts.index.readers[reader][0])
        found += clues.of_spans(facts, Spans(key, key + wrong).where(wrong > 0), tell)
    return Found(
        examined=facts.index.delivered_count,
        instances=instances,
        clues=found,
        unknown="" if facts.index.delivered_count else "nothing was delivered",
    )


def _tell(reader: str, _key: int) -> str:
    return f"came to {reader} behind one that the first reader had later"


def _first_order(facts: Facts, reader: int) -> Steps:
    """Return for each message a lineage delivered: how many it had delivered first before its run.

    Within a run the numbers rise with the key.
    """
    key, count, _, _, lineage, when = facts.deliveries
    mine = np.flatnonzero(lineage == reader)
    mine = mine[np.argsort(when[mine], kind="stable")]
    first = Steps.of(key[mine], (key + count)[mine], when[mine])
    order = np.lexsort((first.begins, first.values))
    number = np.zeros(len(order), dtype=np.int64)
    sizes = (first.ends - first.begins)[order]
    number[order] = np.cumsum(sizes) - sizes
    return Steps(first.begins, first.ends, number)


def _out_of_order(canonical: Steps, other: Steps) -> tuple[Column, Column]:
    """Return (keys, how many messages from each on are out of order), by pieces."""
    origin, begins, ends = split(other.begins, other.ends, canonical.cuts)
    place = np.searchsorted(canonical.begins, begins, side="right") - 1
    known = canonical.at(begins, -1) >= 0
    origin, begins, ends, place = origin[known], begins[known], ends[known], place[known]
    number = canonical.values[place] + begins - canonical.begins[place]
    when = other.values[origin] + begins - other.begins[origin]
    one = np.zeros(len(begins), dtype=np.int64)
    highest = highest_before(one, when, number + (ends - begins) - 1, one, when)
    return begins, np.clip(highest - number, 0, ends - begins)
