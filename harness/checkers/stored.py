"""What was found in the store, as one table per inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.checkers.index import Index, Snapshot
from harness.checkers.intervals import Column, column
from harness.checkers.route import U64Column


@dataclass(frozen=True, slots=True)
class StoredTable:
    """Every message of one inspection of one inbox, a row each.

    `key` is -1 for a message of a stream that nobody sent to.
    """

    inbox: str
    complete: bool
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
            self.complete,
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


def tables(index: Index) -> list[StoredTable]:
    """Return a table per inspection of an inbox."""
    return [_table(index, snapshot) for snapshot in index.snapshots]


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
    if not any(snapshot.rows for snapshot in snapshots):
        return "the inspected store held nothing"
    return ""


def _table(index: Index, snapshot: Snapshot) -> StoredTable:
    inbox = index.inboxes[snapshot.inbox]
    rows = snapshot.rows
    producer = np.frombuffer(b"".join(row.producers for row in rows), dtype="<u8")
    n = np.frombuffer(b"".join(row.ns for row in rows), dtype="<u8").astype(np.int64)
    pos = np.frombuffer(b"".join(row.positions for row in rows), dtype="<u8").astype(np.int64)
    counts = column([len(row.positions) // 8 for row in rows])
    within = np.arange(len(pos)) - np.repeat(np.cumsum(counts) - counts, counts)

    def spread(values: list[int]) -> Column:
        return np.repeat(column(values), counts)

    return StoredTable(
        inbox,
        snapshot.complete,
        producer.astype(np.uint64),
        n,
        _keys(index, inbox, producer.astype(np.uint64), n),
        pos,
        spread([row.bpos_first for row in rows]) + within,
        spread([row.epoch for row in rows]),
        spread([row.bucket for row in rows]),
        spread([row.bucket_count for row in rows]),
    )


def _keys(index: Index, inbox: str, producer: U64Column, n: Column) -> Column:
    known, which = np.unique(producer, return_inverse=True)
    streams = [index.find_stream(int(value), inbox) for value in known]
    bases = column([-1 if stream is None else stream.base for stream in streams])
    if not len(bases):
        return n
    return np.where(bases[which] < 0, -1, bases[which] + n)


def _join(mine: Sequence[StoredTable]) -> StoredTable:
    return StoredTable(
        mine[0].inbox,
        all(table.complete for table in mine),
        np.concatenate([table.producer for table in mine]),
        *(
            np.concatenate([getattr(table, name) for table in mine])
            for name in ("n", "key", "pos", "bpos", "epoch", "bucket", "bucket_count")
        ),
    )
