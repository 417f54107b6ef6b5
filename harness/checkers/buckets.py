"""C1, C2, C3: does every message lie in the bucket that the published route says, and only there?

Judged from what an inspection found in the store, never from what was delivered: a system that
merges its buckets well would hide a wrong placement from its readers. Every stored message is
looked at. O(messages log messages).
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.extent import Extent, extent_of
from harness.checkers.facts import Facts
from harness.checkers.intervals import NEVER, Column, Mask, Spans, column, highest_before
from harness.checkers.route import ROUTES, Route
from harness.checkers.stored import StoredTable, why_unknown
from harness.history.records import OK
from harness.systems.promises import Promise


def _clues(table: StoredTable, wrong: Mask, what: str) -> list[Clue]:
    return [
        Clue(
            summary=f"{table.describe(row)} {what}",
            inbox=table.inbox,
            producer=int(table.producer[row]),
            n=int(table.n[row]),
            pos=int(table.pos[row]),
        )
        for row in np.flatnonzero(wrong)[:WITNESSES_MAX].tolist()
    ]


@check(
    "C1",
    "MISROUTED",
    "stored in another bucket than the published route says",
    needs=Promise.BUCKETS,
    reach=Reach.KEYS,
)
def misrouted(facts: Facts) -> Found:
    """Compare each entry with the route at its epoch's bucket count. Instances are messages."""
    route = ROUTES.get(facts.run.route)
    if route is None:
        return Found(examined=0, unknown=f"no route {facts.run.route!r} is known")
    examined = instances = 0
    found: list[Clue] = []
    extent = Extent()
    for table in facts.stored_distinct:
        wrong = _misplaced(table, route) | _other_count(facts, table)
        examined += len(wrong)
        instances += int(wrong.sum())
        found += _clues(table, wrong, "does not lie where the route puts it")
        extent = extent.plus(extent_of(facts, Spans.of(table.key[wrong], table.key[wrong] + 1)))
    return Found(
        examined=examined,
        instances=instances,
        clues=found,
        unknown=why_unknown(facts.index),
        extent=extent,
    )


def _misplaced(table: StoredTable, route: Route) -> Mask:
    wrong = np.zeros(len(table.pos), dtype=np.bool_)
    counts = np.unique(table.row_bucket_count).tolist()
    for count in counts:
        mine = slice(None) if len(counts) == 1 else np.flatnonzero(table.bucket_count == count)
        if count < 1:
            wrong[mine] = True
        elif count == 1:
            wrong[mine] = table.bucket[mine] != 0
        else:
            ns = table.n[mine].view(np.uint64)
            want = route(table.inbox, table.producer[mine], ns, count)
            wrong[mine] = want.view(np.int64) != table.bucket[mine]
    return wrong


def _other_count(facts: Facts, table: StoredTable) -> Mask:
    """Mark entries whose bucket count is not their epoch's.

    An epoch has one count: that which its confirmed resize gave it, else one that was asked for; of
    several that were, or if none was, that which its first stored row names.
    """
    wrong = np.zeros(len(table.counts), dtype=np.bool_)
    given = {
        one.epoch: one.bucket_count
        for one in facts.index.resizes
        if one.inbox == table.inbox and one.outcome == OK
    }
    asked: dict[int, set[int]] = defaultdict(set)
    for resize in facts.index.resizes_invoked:
        if resize.inbox == table.inbox:
            asked[resize.expected_epoch + 1].add(resize.bucket_count)
    first = facts.index.inspections.bucket_counts[facts.index.inbox(table.inbox)]
    for epoch in np.unique(table.row_epoch).tolist():
        count = given.get(epoch, first[epoch])
        other = table.row_bucket_count != count
        if epoch not in given and count not in asked.get(epoch, {count}):
            other = np.ones_like(other)
        wrong |= (table.row_epoch == epoch) & other
    return np.repeat(wrong, table.counts)


@check("C2", "DOUBLE-BUCKET", "stored in two places", needs=Promise.BUCKETS, reach=Reach.KEYS)
def double_bucket(facts: Facts) -> Found:
    """One m in two entries of one inspection, of whatever buckets and epochs.

    Instances are messages, once per inspection that found them.
    """
    examined = instances = 0
    found: list[Clue] = []
    for table in facts.stored:
        examined += len(table.pos)
        keys = np.sort(table.key)
        if not (keys[1:] == keys[:-1]).any():
            continue
        order = np.lexsort((table.pos, table.key))
        again = np.zeros(len(order), dtype=np.bool_)
        again[1:] = keys[1:] == keys[:-1]
        # Of three copies only the second counts the message.
        counted = again.copy()
        counted[1:] &= ~again[:-1]
        instances += int(counted.sum())
        for row in np.flatnonzero(counted)[:WITNESSES_MAX].tolist():
            here, there = int(order[row]), int(order[row - 1])
            found.append(
                Clue(
                    summary=(
                        f"{table.describe(there)} is stored a second time, at position "
                        f"{table.pos[here]}, epoch {table.epoch[here]}, bucket "
                        f"{table.bucket[here]}"
                    ),
                    inbox=table.inbox,
                    producer=int(table.producer[here]),
                    n=int(table.n[here]),
                )
            )
    return Found(
        examined=examined, instances=instances, clues=found, unknown=why_unknown(facts.index)
    )


@check(
    "C3",
    "BUCKET-ORDER",
    "bucket positions and positions disagree within a bucket",
    needs=Promise.BUCKETS,
    reach=Reach.PARTS,
)
def bucket_order(facts: Facts) -> Found:
    """In one (bucket, epoch): bpos rises and pos does not. Instances are messages."""
    examined = instances = 0
    found: list[Clue] = []
    for table in facts.stored_distinct:
        examined += len(table.pos)
        if _in_order(facts, table):
            continue
        group = _group(table)
        floor = highest_before(group, table.bpos, table.pos, group, table.bpos)
        wrong = (floor >= table.pos) | _shared_place(group, table)
        wrong |= _behind_later(facts, group, table)
        instances += int(wrong.sum())
        found += _clues(table, wrong, "lies behind a higher position in its bucket")
    return Found(
        examined=examined, instances=instances, clues=found, unknown=why_unknown(facts.index)
    )


def _in_order(facts: Facts, table: StoredTable) -> bool:
    """Return whether rows and what is in them show already that every bucket is in order."""
    if not table.rises:
        return False
    epoch, bucket, bpos = table.row_epoch, table.row_bucket, table.row_bpos
    order = np.lexsort((bpos, bucket, epoch))
    here, there = order[1:], order[:-1]
    together = (epoch[here] == epoch[there]) & (bucket[here] == bucket[there])
    last = table.begins + table.counts - 1
    apart = bpos[there] + table.counts[there] <= bpos[here]
    rising = table.pos[last[there]] < table.pos[table.begins[here]]
    if not bool((apart & rising | ~together).all()):
        return False
    ends = order[np.append(~together, True)]
    lowest = facts.later.bucket_lowest
    return not lowest or all(
        end < lowest.get((table.inbox, number, place), NEVER)
        for number, place, end in zip(
            epoch[ends].tolist(),
            bucket[ends].tolist(),
            (bpos + table.counts - 1)[ends].tolist(),
            strict=True,
        )
    )


def _behind_later(facts: Facts, group: Column, table: StoredTable) -> Mask:
    """Mark entries whose bucket position is not below those of later parts."""
    lowest = facts.later.bucket_lowest
    _, first, which = np.unique(group, return_index=True, return_inverse=True)
    least = [
        lowest.get((table.inbox, int(table.epoch[row]), int(table.bucket[row])), NEVER)
        for row in first.tolist()
    ]
    behind: Mask = table.bpos >= column(least)[which]
    return behind


def _group(table: StoredTable) -> Column:
    """Number the (epoch, bucket) pairs."""
    _, epoch = np.unique(table.epoch, return_inverse=True)
    buckets, bucket = np.unique(table.bucket, return_inverse=True)
    return (epoch * len(buckets) + bucket).astype(np.int64)


def _shared_place(group: Column, table: StoredTable) -> Mask:
    """Mark entries that share their bucket position with one at another position."""
    order = np.lexsort((table.pos, table.bpos, group))
    g, b, p = group[order], table.bpos[order], table.pos[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (g[1:] != g[:-1]) | (b[1:] != b[:-1])
    first = np.flatnonzero(fresh)
    last = np.append(first[1:], len(order)) - 1
    # Positions rise within a place, so where its ends agree all do.
    shared = np.zeros(len(order), dtype=np.bool_)
    shared[order] = np.repeat(p[first] != p[last], last - first + 1)
    return shared
