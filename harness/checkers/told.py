"""C9: does the store hold what replies and deliveries said of it?

An acknowledgement names the epoch of its messages, a delivery their epoch and bucket count, and the
answer to a resize the position at which its epoch begins. Clients route and resume by these words.
"""

from __future__ import annotations

import numpy as np

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.checkers.inspected import found_in_store
from harness.checkers.intervals import Column, Mask
from harness.checkers.stored import StoredTable
from harness.history.records import OK
from harness.systems.promises import Promise


@check(
    "C9",
    "TOLD-OTHERWISE",
    "a reply or a delivery named another epoch, bucket count or place than the store has",
    needs=Promise.BUCKETS,
    reach=Reach.PARTS,
)
def told_otherwise(facts: Facts) -> Found:
    """Compare what was said of each position with the settled entry that an inspection found there.

    A confirmed resize that names its position says that the epoch begins there: no entry of it or
    of a later one lies below, no entry of an earlier one at or above. Instances are messages, once
    per inspection that found them.
    """
    examined = instances = 0
    found: list[Clue] = []
    for table in facts.stored:
        asked_ns = facts.index.inspections.snapshots[table.inspection].asked_ns
        settled = facts.until_of(table.key) < asked_ns
        wrong = (_said_otherwise(facts, table) | _outside(facts, table)) & settled
        examined += int(settled.sum())
        instances += int(wrong.sum())
        found += [
            Clue(
                summary=f"{table.describe(row)} is not where replies and deliveries said",
                inbox=table.inbox,
                producer=int(table.producer[row]),
                n=int(table.n[row]),
                pos=int(table.pos[row]),
            )
            for row in np.flatnonzero(wrong)[:WITNESSES_MAX].tolist()
        ]
    note = "" if examined else "nothing had been settled when an inspection began"
    return found_in_store(facts, examined=examined, instances=instances, clues=found, note=note)


def _said_otherwise(facts: Facts, table: StoredTable) -> Mask:
    """Mark entries at whose position something else was said."""
    wrong = np.zeros(len(table.pos), dtype=np.bool_)
    inbox = facts.index.inbox(table.inbox)
    for (of, epoch, bucket_count), told in facts.index.told.items():
        if of != inbox:
            continue
        other = table.row_epoch != epoch
        if bucket_count >= 0:
            other |= table.row_bucket_count != bucket_count
        if not other.any():
            continue
        spans = told.spans()
        wrong |= np.repeat(other, table.counts) & _inside(table.pos, spans.begins, spans.ends)
    return wrong


def _inside(pos: Column, begins: Column, ends: Column) -> Mask:
    at = np.searchsorted(begins, pos, side="right") - 1
    inside: Mask = (at >= 0) & (pos < ends[np.maximum(at, 0)])
    return inside


def _outside(facts: Facts, table: StoredTable) -> Mask:
    """Mark entries on the wrong side of the position at which a confirmed epoch begins."""
    wrong = np.zeros(len(table.pos), dtype=np.bool_)
    for resize in facts.index.resizes:
        if resize.inbox != table.inbox or resize.outcome != OK or resize.pos_first < 0:
            continue
        wrong |= (table.epoch >= resize.epoch) != (table.pos >= resize.pos_first)
    return wrong
