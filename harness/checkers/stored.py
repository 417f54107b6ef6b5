"""What was found in the store, as one table per inspection.

The store's rows are few and their messages many, so a table is held by rows: what all messages of a
row share is spread over them only when a check has to name messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.checkers.index import Index
from harness.checkers.intervals import KEY_BITS, NUMBER_LIMIT, Column
from harness.checkers.route import U64Column


@dataclass(frozen=True)
class StoredTable:
    """The messages of one inspection of one inbox that belong to a part.

    Attributes:
        inbox: Its name.
        inspection: The number of the inspection.
        key, pos: The messages, row after row.
        counts: Messages of each row, none empty.
        row_epoch, row_bucket, row_bucket_count, row_bpos: What each row says of itself; `row_bpos`
            is the position of its first message in the bucket.
        producers: The producer of each stream.
    """

    inbox: str
    inspection: int
    key: Column
    pos: Column
    counts: Column
    row_epoch: Column
    row_bucket: Column
    row_bucket_count: Column
    row_bpos: Column
    producers: U64Column

    @cached_property
    def begins(self) -> Column:
        """Where each row begins among the messages."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def producer(self) -> U64Column:
        """The producer of each message."""
        producers: U64Column = self.producers[self.key >> KEY_BITS]
        return producers

    @cached_property
    def n(self) -> Column:
        """The number of each message."""
        return self.key & (NUMBER_LIMIT - 1)

    @cached_property
    def epoch(self) -> Column:
        """The epoch of each message."""
        return np.repeat(self.row_epoch, self.counts)

    @cached_property
    def bucket(self) -> Column:
        """The bucket of each message."""
        return np.repeat(self.row_bucket, self.counts)

    @cached_property
    def bucket_count(self) -> Column:
        """How many buckets each message's row says there are."""
        return np.repeat(self.row_bucket_count, self.counts)

    @cached_property
    def bpos(self) -> Column:
        """The position of each message in its bucket."""
        within = np.arange(len(self.key)) - np.repeat(self.begins, self.counts)
        return np.repeat(self.row_bpos, self.counts) + within

    @cached_property
    def rises(self) -> bool:
        """Whether positions rise within every row."""
        falls = self.pos[1:] <= self.pos[:-1]
        falls[self.begins[1:] - 1] = False
        return not bool(falls.any())

    def messages(self, order: Column) -> StoredTable:
        """Return these messages, a row each."""
        return StoredTable(
            self.inbox,
            self.inspection,
            self.key[order],
            self.pos[order],
            np.ones_like(order),
            self.epoch[order],
            self.bucket[order],
            self.bucket_count[order],
            self.bpos[order],
            self.producers,
        )

    def describe(self, row: int) -> str:
        """Return one message's identity and place in words."""
        return (
            f"message {self.n[row]} of producer {self.producer[row]} to {self.inbox} (position "
            f"{self.pos[row]}, epoch {self.epoch[row]}, bucket {self.bucket[row]} of "
            f"{self.bucket_count[row]})"
        )


def tables(
    index: Index, rows: list[Column], messages: list[Column], producers: U64Column
) -> list[StoredTable]:
    """Return a table per inspection of an inbox that found something.

    Args:
        index: Knows the inspections and the streams.
        rows: The table `stored_rows` of the part.
        messages: The table `stored` of the part.
        producers: The producer of each stream.
    """
    snapshot, counts = rows[0], rows[5]
    key, pos = messages
    if not len(key):
        return []
    if (snapshot[1:] < snapshot[:-1]).any():
        order = np.argsort(snapshot, kind="stable")
        begins = (np.cumsum(counts) - counts)[order]
        rows = [values[order] for values in rows]
        snapshot, counts = rows[0], rows[5]
        moved = np.repeat(begins - (np.cumsum(counts) - counts), counts)
        moved += np.arange(len(key))
        key, pos = key[moved], pos[moved]
    first = np.flatnonzero(np.append(True, snapshot[1:] != snapshot[:-1]))
    ends = np.append(first[1:], len(snapshot))
    reach = np.append(0, np.cumsum(counts))
    found = []
    for begin, end in zip(first.tolist(), ends.tolist(), strict=True):
        number = int(snapshot[begin])
        mine, its = slice(begin, end), slice(int(reach[begin]), int(reach[end]))
        _, epoch, bucket, bucket_count, bpos, count = (values[mine] for values in rows)
        found.append(
            StoredTable(
                index.inboxes[index.inspections.snapshots[number].inbox],
                number,
                key[its],
                pos[its],
                count,
                epoch,
                bucket,
                bucket_count,
                bpos,
                producers,
            )
        )
    return found


def distinct(found: Sequence[StoredTable]) -> list[StoredTable]:
    """Return one table per inbox, a message that several inspections found alike only once."""
    by_inbox: dict[str, list[StoredTable]] = defaultdict(list)
    for table in found:
        by_inbox[table.inbox].append(table)
    return [mine[0] if len(mine) == 1 else _once(_join(mine)) for mine in by_inbox.values()]


def why_unknown(index: Index, *, trims: bool = False) -> str:
    """Return why nothing can be said of the store, "" if something can.

    Where it drops what was acknowledged (`trims`), nothing may rightly be left of it.
    """
    snapshots = index.inspections.snapshots
    if not snapshots:
        return "the store was not inspected"
    if not all(snapshot.complete for snapshot in snapshots):
        return "an inspection of the store did not reach its end"
    if not trims and _is_empty(index):
        return "the inspected store held nothing"
    used = {stream.inbox for stream in index.streams if stream.invoked_upto}
    left = sorted(used - {snapshot.inbox for snapshot in snapshots})
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        return f"not inspected: {', '.join(index.inboxes[one] for one in left[:3])}{more}"
    return ""


def why_not_asked(index: Index, *, trims: bool) -> str:
    """Return why there is nothing to ask of what lies in the store, "" if there is something.

    C8 alone says whether a store that trims may be empty.
    """
    if why_unknown(index, trims=trims) or not (trims and _is_empty(index)):
        return ""
    return "the store drops what was acknowledged, and nothing was left to look at"


def _is_empty(index: Index) -> bool:
    return not any(snapshot.messages for snapshot in index.inspections.snapshots)


def _once(whole: StoredTable) -> StoredTable:
    columns = (
        whole.pos, whole.n, whole.epoch, whole.bucket, whole.bpos, whole.bucket_count,
        whole.producer,
    )  # fmt: skip
    order = np.lexsort(columns)
    fresh = np.zeros(len(order), dtype=np.bool_)
    fresh[:1] = True
    for values in columns:
        fresh[1:] |= values[order[1:]] != values[order[:-1]]
    return whole.messages(np.sort(order[fresh]))


def _join(mine: Sequence[StoredTable]) -> StoredTable:
    def all_of(name: str) -> Column:
        return np.concatenate([getattr(table, name) for table in mine])

    return StoredTable(
        mine[0].inbox,
        mine[-1].inspection,
        all_of("key"),
        all_of("pos"),
        all_of("counts"),
        all_of("row_epoch"),
        all_of("row_bucket"),
        all_of("row_bucket_count"),
        all_of("row_bpos"),
        mine[0].producers,
    )
