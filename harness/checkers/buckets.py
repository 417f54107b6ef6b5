"""C1, C2, C3: does every message lie in the bucket that the published route says, and only there?

Judged from what an inspection found in the store, never from what was delivered: a system that
merges its buckets well would hide a wrong placement from its readers. Every stored message is
looked at. O(messages log messages).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.extent import Extent, extent_of
from harness.checkers.facts import Facts
from harness.checkers.inspected import found_in_store
from harness.checkers.intervals import NEVER, Column, Mask, Spans, column, highest_before
from harness.checkers.route import ROUTES, Route
from harness.checkers.stored import StoredTable
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
    """Compare each entry with the route at its epoch's bucket count.

    Instances are messages, once per inspection that found them.
    """
    route = ROUTES.get(facts.run.route)
    if route is None:
        return Found(examined=0, unknown=f"no route {facts.run.route!r} is known")
    examined = instances = 0
    found: list[Clue] = []
    extent = Extent()
    for table in facts.stored:
        wrong = _misplaced(table, route) | _other_count(facts, table)
        examined += len(wrong)
        instances += int(wrong.sum())
        found += _clues(table, wrong, "does not lie where the route puts it")
        extent = extent.plus(extent_of(facts, Spans.of(table.key[wrong], table.key[wrong] + 1)))
    return found_in_store(facts, examined=examined, instances=instances, clues=found, extent=extent)


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
    """Mark entries whose bucket count, or epoch, is none that they can have.

    An epoch has one count. Once its resize was confirmed it is that one; until then a crash may
    undo the resize, and each that had been asked for may be seen, all of one inspection alike. An
    epoch behind the first has to have been asked for, and so has every one before it.
    """
    snapshot = facts.index.inspections.snapshots[table.inspection]
    asked = _asked_counts(facts, table.inbox, snapshot.ended_ns)
    confirmed = {
        one.epoch: (one.t_ns, one.bucket_count)
        for one in facts.index.resizes
        if one.inbox == table.inbox and one.outcome == OK
    }
    settled = facts.until_of(table.key) < snapshot.asked_ns
    wrong = np.zeros(len(table.key), dtype=np.bool_)
    counts, epochs = table.bucket_count, table.epoch
    for epoch in np.unique(table.row_epoch).tolist():
        mine = epochs == epoch
        since_ns, count = confirmed.get(epoch, (NEVER, -1))
        if since_ns < snapshot.asked_ns:
            other = counts != count
        else:
            other = counts != snapshot.bucket_counts[epoch]
            if epoch:
                other |= ~np.isin(counts, sorted(asked[epoch]))
            # What was settled lies in the epoch as it was confirmed, whenever that was.
            other |= settled & (counts != count) & (count >= 0)
        if not _begun(asked, epoch):
            other = np.ones_like(other)
        wrong |= mine & other
    return wrong


def _asked_counts(facts: Facts, inbox: str, until_ns: int) -> dict[int, set[int]]:
    """Return by epoch the bucket counts that were asked for before `until_ns`; -1: ever."""
    asked: dict[int, set[int]] = defaultdict(set)
    for resize in facts.index.resizes_invoked:
        if resize.inbox == inbox and (until_ns < 0 or resize.t_ns <= until_ns):
            asked[resize.expected_epoch + 1].add(resize.bucket_count)
    return asked


def _begun(asked: Mapping[int, set[int]], epoch: int) -> bool:
    """Return whether an epoch and all before it, but for the first, were asked for."""
    return all(number in asked for number in range(1, epoch + 1))


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
    return found_in_store(facts, examined=examined, instances=instances, clues=found)


@check(
    "C3",
    "BUCKET-ORDER",
    "bucket positions and positions disagree within a bucket",
    needs=Promise.BUCKETS,
    reach=Reach.PARTS,
)
def bucket_order(facts: Facts) -> Found:
    """In one (bucket, epoch) of one inspection: bpos rises and pos does not.

    Instances are messages, once per inspection that found them.
    """
    examined = instances = 0
    found: list[Clue] = []
    for table in facts.stored:
        examined += len(table.pos)
        if _in_order(facts, table):
            continue
        group = _group(table)
        floor = highest_before(group, table.bpos, table.pos, group, table.bpos)
        wrong = (floor >= table.pos) | _shared_place(group, table)
        wrong |= _behind_later(facts, group, table)
        instances += int(wrong.sum())
        found += _clues(table, wrong, "lies behind a higher position in its bucket")
    return found_in_store(facts, examined=examined, instances=instances, clues=found)


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
        end < lowest.get((table.inspection, number, place), NEVER)
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
        lowest.get((table.inspection, int(table.epoch[row]), int(table.bucket[row])), NEVER)
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
