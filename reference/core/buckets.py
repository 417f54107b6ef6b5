"""Splitting an append into bucket rows, and merging bucket rows into one order again.

Both are pure and work on whole columns. One bucket costs nothing but the ids; messages of equal
length are gathered by one numpy take; only messages of mixed length in several buckets pay for
being cut and joined one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference.events import Append, LogSlice
from reference.wire.bucket_hash import bucket_range
from reference.wire.messages import Run, StoredRow

U32 = np.dtype("<u4")
U64 = np.dtype("<u8")

_Ints = npt.NDArray[np.int64]


class BucketRow(NamedTuple):
    """One row of `offline_msg`, its columns in the table's order.

    It holds the messages of one append that share a bucket.

    Attributes:
        pos_first: First position of the append (not of the row): all its rows share it.
        pos_last: Last position of the append.
        bpos_first: Position of the first message within (bucket, epoch); the others follow.
        offsets: Column of u32: position minus pos_first, rising.
        ids: Column of u64 producers, then column of u64 n.
        lengths: Column of u32.
        body: The bodies in position order.
    """

    inbox: str
    pos_first: int
    bucket: int
    pos_last: int
    epoch: int
    bucket_count: int
    count: int  # type: ignore[assignment]  # The column, not the method of a tuple.
    bpos_first: int
    offsets: bytes
    ids: bytes
    lengths: bytes
    body: bytes | memoryview

    def stored(self) -> StoredRow:
        """Return what an inspection shows of it: everything but lengths and bodies."""
        return StoredRow(*self[1:10])


def split(append: Append, bucket_next: Sequence[int]) -> tuple[list[BucketRow], list[int]]:
    """Split an append into one row per bucket that gets a message, in order of buckets.

    Args:
        append: What to store; its runs add up to its count.
        bucket_next: The next position in each bucket of the append's epoch.

    Returns:
        The rows, and `bucket_next` behind them.
    """
    inbox, pos_first, epoch = append.inbox, append.pos_first, append.epoch
    count, bucket_count = append.count, append.bucket_count
    pos_last = pos_first + count - 1
    producers, ns = _id_columns(append.runs, count)
    if bucket_count == 1:
        offsets = np.arange(count, dtype=U32).tobytes()
        ids = producers.tobytes() + ns.tobytes()
        bpos = bucket_next[0]
        columns = (count, bpos, offsets, ids, append.lengths, append.body)
        return [BucketRow(inbox, pos_first, 0, pos_last, epoch, 1, *columns)], [bpos + count]
    buckets = buckets_of(inbox, append.runs, bucket_count)
    order = np.argsort(buckets, kind="stable")
    ends = np.cumsum(np.bincount(buckets, minlength=bucket_count))
    lengths = np.frombuffer(append.lengths, dtype=U32)
    body, body_ends = _gather(append.body, lengths, order, ends)
    # Whole columns become bytes once; a row costs a few slices of them.
    offset_column = order.astype(U32).tobytes()
    producer_column, n_column = producers[order].tobytes(), ns[order].tobytes()
    length_column = lengths[order].tobytes()
    rows: list[BucketRow] = []
    after = list(bucket_next)
    begin = body_begin = 0
    for bucket, (end, body_end) in enumerate(zip(ends.tolist(), body_ends, strict=True)):
        if end == begin:
            continue
        rows.append(
            BucketRow(
                inbox,
                pos_first,
                bucket,
                pos_last,
                epoch,
                bucket_count,
                end - begin,
                after[bucket],
                offset_column[4 * begin : 4 * end],
                producer_column[8 * begin : 8 * end] + n_column[8 * begin : 8 * end],
                length_column[4 * begin : 4 * end],
                body[body_begin:body_end],
            )
        )
        after[bucket] += end - begin
        begin, body_begin = end, body_end
    return rows, after


def buckets_of(inbox: str, runs: Sequence[Run], bucket_count: int) -> npt.NDArray[np.uint16]:
    """Return the bucket of every message of the runs, in their order."""
    parts = [bucket_range(r.producer, inbox, r.n_first, r.count, bucket_count) for r in runs]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _id_columns(
    runs: Sequence[Run], count: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the producers and the n of every message of the runs."""
    if len(runs) == 1:
        run = runs[0]
        ns = np.arange(run.n_first, run.n_first + count, dtype=U64)
        return np.full(count, run.producer, dtype=U64), ns
    counts = np.array([r.count for r in runs], dtype=np.int64)
    producers = np.repeat(np.array([r.producer for r in runs], dtype=U64), counts)
    begins = np.cumsum(counts) - counts
    shifts = np.array([r.n_first for r in runs], dtype=np.int64) - begins
    return producers, (np.repeat(shifts, counts) + np.arange(count)).astype(U64)


def _gather(
    body: bytes, lengths: npt.NDArray[np.uint32], order: _Ints, ends: _Ints
) -> tuple[bytes | memoryview, list[int]]:
    """Return the bodies in the given order as one piece, and where the pieces at `ends` end."""
    width = _common_width(body, lengths)
    if width:
        # No copy into bytes here: a second big block costs ten times what the gathering does,
        # because the allocator gives it back to the kernel each time.
        items = _items(body, width)[order]
        return items.view(np.uint8).data, (ends * width).tolist()
    filled = np.concatenate(([0], np.cumsum(lengths[order], dtype=np.int64)))
    return _pick(body, lengths, order), filled[ends].tolist()


def _pick(body: bytes, lengths: npt.NDArray[np.uint32], order: _Ints) -> bytes:
    """Return the bodies that `order` names, in that order."""
    width = _common_width(body, lengths)
    if width:
        return _items(body, width)[order].tobytes()
    stops = np.cumsum(lengths, dtype=np.int64)
    starts = stops - lengths
    cuts = map(slice, starts[order].tolist(), stops[order].tolist())
    return b"".join(map(body.__getitem__, cuts))


def _common_width(body: bytes, lengths: npt.NDArray[np.uint32]) -> int:
    """Return the length that all messages have, or 0 if there is none to make use of."""
    width = int(lengths[0])
    equal = width * len(lengths) == len(body) and bool((lengths == width).all())
    return width if equal else 0


def _items(body: bytes, width: int) -> npt.NDArray[Any]:
    """Return the bodies as opaque items, so that numpy copies messages instead of bytes."""
    return np.frombuffer(body, dtype=np.dtype((np.void, width)))


def merge(rows: Sequence[BucketRow], pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
    """Merge rows into messages in position order.

    Args:
        rows: All rows of consecutive appends, ordered by (pos_first, bucket).
        pos_first: The first position wanted; what lies below is filtered out.
        pos_upto: The last position wanted.
        bytes_max: About how much (bodies and lengths); at least one message is returned, if any
            is there.

    Raises:
        ValueError: A position is missing between the rows, or is there twice.
    """
    empty = LogSlice(pos_first=pos_first, runs=(), lengths=b"", body=b"")
    if not rows:
        return empty
    base = rows[0].pos_first
    count = rows[-1].pos_last + 1 - base
    begin = max(pos_first - base, 0)
    stop = min(pos_upto + 1 - base, count)
    if begin >= stop:
        return empty
    lengths = np.frombuffer(b"".join([row.lengths for row in rows]), dtype=U32)
    if len(lengths) != count:
        raise ValueError(f"{len(lengths)} messages at {count} positions of {rows[0].inbox!r}")
    body = bytes(rows[0].body) if len(rows) == 1 else b"".join([row.body for row in rows])
    counts = np.array([row.count for row in rows], dtype=np.int64)
    if all(row.count == row.pos_last + 1 - row.pos_first for row in rows):
        order = np.arange(count)
    else:
        order = _order(rows, counts, base, count)
    order = order[begin:stop]
    filled = np.cumsum(lengths[order].astype(np.int64) + 4)
    order = order[: max(1, int(np.searchsorted(filled, bytes_max, side="right")))]
    if len(order) < count or bool((order[1:] < order[:-1]).any()):
        body = _pick(body, lengths, order)
    return LogSlice(
        pos_first=base + begin,
        runs=_runs(rows, counts, order),
        lengths=lengths[order].tobytes(),
        body=body,
    )


def _order(rows: Sequence[BucketRow], counts: _Ints, base: int, count: int) -> _Ints:
    """Return for each position where its message lies in the rows, one after the other."""
    slots = np.frombuffer(b"".join([row.offsets for row in rows]), dtype=U32).astype(np.int64)
    slots += np.repeat(np.array([row.pos_first - base for row in rows], dtype=np.int64), counts)
    order = np.full(count, -1, dtype=np.int64)
    if int(slots.max()) < count:
        order[slots] = np.arange(count)
    if int(order.min()) < 0:
        raise ValueError(f"two messages share a position of {rows[0].inbox!r}")
    return order


def _runs(rows: Sequence[BucketRow], counts: _Ints, order: _Ints) -> tuple[Run, ...]:
    """Find the runs again: one producer, n rising by one, one epoch."""
    ids = np.frombuffer(b"".join([row.ids for row in rows]), dtype=U64)
    # The ids of a row are its producers, then its n: twice as much stands before each row.
    begins = np.cumsum(counts) - counts
    owner = np.repeat(np.arange(len(rows)), counts)[order]
    at = order + begins[owner]
    producers, ns = ids[at], ids[at + counts[owner]]
    epochs = np.array([row.epoch for row in rows], dtype=np.int64)[owner]
    same = (
        (producers[1:] == producers[:-1])
        & (ns[1:] == ns[:-1] + np.uint64(1))
        & (epochs[1:] == epochs[:-1])
    )
    first = np.concatenate(([0], np.flatnonzero(~same) + 1))
    widths = np.array([row.bucket_count for row in rows], dtype=np.int64)[owner[first]]
    run_counts = np.diff(np.concatenate((first, [len(order)])))
    columns = (producers[first], ns[first], run_counts, epochs[first], widths)
    return tuple(Run(*row) for row in zip(*(c.tolist() for c in columns), strict=True))
