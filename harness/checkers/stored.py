"""What was found in the store, as one table per inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.checkers.index import Index
from harness.checkers.intervals import KEY_BITS, NUMBER_LIMIT, Column
from harness.checkers.route import U64Column


@dataclass(frozen=True, slots=True)
class StoredTable:
    """The messages of one inspection of one inbox that belong to a part, a row each."""

    inbox: str
    inspection: int
    producer: U64Column
    n: Column
    key: Column
    pos: Column
    bpos: Column
    epoch: Column
    bucket: Column
    bucket_count: Column

    def rows(self, order: Column) -> StoredTable:
        """Return the rows with these numbers."""
        return StoredTable(
            self.inbox,
            self.inspection,
            self.producer[order],
            self.n[order],
            self.key[order],
            self.pos[order],
            self.bpos[order],
            self.epoch[order],
            self.bucket[order],
            self.bucket_count[order],
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
    """Return a table per inspection of an inbox.

    Args:
        index: Knows the inspections and the streams.
        rows: The table `stored_rows` of the part.
        messages: The table `stored` of the part.
        producers: The producer of each stream.
    """
    snapshot, epoch, bucket, bucket_count, bpos, counts = rows
    key, pos = messages
    if not len(key):
        return []
    within = np.arange(len(key)) - np.repeat(np.cumsum(counts) - counts, counts)
    row_of = np.repeat(np.arange(len(counts)), counts)
    order = np.argsort(snapshot[row_of], kind="stable")
    numbers, begins = np.unique(snapshot[row_of][order], return_index=True)
    found = []
    for number, mine in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
        of, row, its_key = index.snapshots[number], row_of[mine], key[mine]
        found.append(
            StoredTable(
                index.inboxes[of.inbox],
                number,
                producers[its_key >> KEY_BITS],
                its_key & (NUMBER_LIMIT - 1),
                its_key,
                pos[mine],
                bpos[row] + within[mine],
                epoch[row],
                bucket[row],
                bucket_count[row],
            )
        )
    return found


def distinct(found: Sequence[StoredTable]) -> list[StoredTable]:
    """Return one table per inbox, a message that several inspections found alike only once."""
    merged = []
    for inbox in dict.fromkeys(table.inbox for table in found):
        mine = [table for table in found if table.inbox == inbox]
        whole = mine[0] if len(mine) == 1 else _join(mine)
        if len(mine) > 1:
            order = np.lexsort(
                (whole.bpos, whole.bucket, whole.epoch, whole.n, whole.producer, whole.pos)
            )
            whole = whole.rows(order)
            fresh = np.ones(len(whole.pos), dtype=np.bool_)
            columns = (
                whole.pos, whole.n, whole.epoch, whole.bucket, whole.bpos, whole.bucket_count
            )  # fmt: skip
            if len(fresh):
                fresh[1:] = whole.producer[1:] != whole.producer[:-1]
                for values in columns:
                    fresh[1:] |= values[1:] != values[:-1]
            whole = whole.rows(np.flatnonzero(fresh))
        merged.append(whole)
    return merged


def why_unknown(index: Index) -> str:
    """Return why nothing can be said of the store, "" if something can."""
    snapshots = index.snapshots
    if not snapshots:
        return "the store was not inspected"
    if not all(snapshot.complete for snapshot in snapshots):
        return "an inspection of the store did not reach its end"
    if not any(snapshot.messages for snapshot in snapshots):
        return "the inspected store held nothing"
    return ""


def _join(mine: Sequence[StoredTable]) -> StoredTable:
    return StoredTable(
        mine[0].inbox,
        mine[-1].inspection,
        np.concatenate([table.producer for table in mine]),
        *(
            np.concatenate([getattr(table, name) for table in mine])
            for name in ("n", "key", "pos", "bpos", "epoch", "bucket", "bucket_count")
        ),
    )
