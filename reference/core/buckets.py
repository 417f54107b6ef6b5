"""Splitting an append into bucket rows, and merging bucket rows into one order again.

Both are pure and work on whole columns. One bucket costs nothing but the ids; messages of equal
length are gathered by one numpy take; only messages of mixed length in several buckets pay for
being cut and joined one by one (about 0.1 µs each).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reference.events import Append, LogSlice
from reference.wire.bucket_hash import bucket_range
from reference.wire.messages import Run, StoredRow

U32 = np.dtype("<u4")
U64 = np.dtype("<u8")

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRow:
    """One row of `offline_msg`: the messages of one append that share a bucket.

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
    count: int
    bpos_first: int
    offsets: bytes
    ids: bytes
    lengths: bytes
    body: bytes | memoryview

    def stored(self) -> StoredRow:
        """Return what an inspection shows of it: everything but lengths and bodies."""
        return StoredRow(
            self.pos_first,
            self.bucket,
            self.pos_last,
            self.epoch,
            self.bucket_count,
            self.count,
            self.bpos_first,
            self.offsets,
            self.ids,
        )


def split(append: Append, bucket_next: Sequence[int]) -> tuple[list[BucketRow], list[int]]:
    """Split an append into one row per bucket that gets a message, in order of buckets.

    Args:
        append: What to store; its runs add up to its count.
        bucket_next: The next position in each bucket of the append's epoch.

    Returns:
        The rows, and `bucket_next` behind them.
    """
    count = append.count
    producers, ns = _id_columns(append.runs, count)
    if append.bucket_count == 1:
        row = _row(
            append,
            bucket=0,
            count=count,
            bpos_first=bucket_next[0],
            offsets=np.arange(count, dtype=U32).tobytes(),
            ids=producers.tobytes() + ns.tobytes(),
            lengths=append.lengths,
            body=append.body,
        )
        return [row], [bucket_next[0] + count]
    buckets = buckets_of(append.inbox, append.runs, append.bucket_count)
    order = np.argsort(buckets, kind="stable")
    counts = np.bincount(buckets, minlength=append.bucket_count)
    ends = np.cumsum(counts)
    lengths = np.frombuffer(append.lengths, dtype=U32)
    body, body_ends = _gather(append.body, lengths, order, ends)
    offsets = order.astype(U32)
    producers, ns, lengths = producers[order], ns[order], lengths[order]
    rows: list[BucketRow] = []
    after = list(bucket_next)
    begin = body_begin = 0
    for bucket, (end, body_end) in enumerate(zip(ends.tolist(), body_ends, strict=True)):
        if end == begin:
            continue
        row = _row(
            append,
            bucket=bucket,
            count=end - begin,
            bpos_first=after[bucket],
            offsets=offsets[begin:end].tobytes(),
            ids=producers[begin:end].tobytes() + ns[begin:end].tobytes(),
            lengths=lengths[begin:end].tobytes(),
            body=body[body_begin:body_end],
        )
        rows.append(row)
        after[bucket] += end - begin
        begin, body_begin = end, body_end
    return rows, after


def buckets_of(inbox: str, runs: Sequence[Run], bucket_count: int) -> npt.NDArray[np.uint16]:
    """Return the bucket of every message of the runs, in their order."""
    parts = [bucket_range(r.producer, inbox, r.n_first, r.count, bucket_count) for r in runs]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _row(
    append: Append,
    *,
    bucket: int,
    count: int,
    bpos_first: int,
    offsets: bytes,
    ids: bytes,
    lengths: bytes,
    body: bytes | memoryview,
) -> BucketRow:
    return BucketRow(
        inbox=append.inbox,
        pos_first=append.pos_first,
        bucket=bucket,
        pos_last=append.pos_first + append.count - 1,
        epoch=append.epoch,
        bucket_count=append.bucket_count,
        count=count,
        bpos_first=bpos_first,
        offsets=offsets,
        ids=ids,
        lengths=lengths,
        body=body,
    )


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
) -> tuple[memoryview, list[int]]:
    """Return the bodies in the given order as one piece, and where the pieces at `ends` end."""
    count = len(lengths)
    width = int(lengths[0])
    if width * count == len(body) and bool((lengths == width).all()):
        if width == 0:
            return memoryview(b""), [0] * len(ends)
        # One opaque item per message lets numpy copy whole messages instead of single bytes.
        items = np.frombuffer(body, dtype=np.dtype((np.void, width)))
        return memoryview(items[order].view(np.uint8)), (ends * width).tolist()  # type: ignore[arg-type]
    stops = np.cumsum(lengths, dtype=np.int64)
    starts = stops - lengths
    cuts = zip(starts[order].tolist(), stops[order].tolist(), strict=True)
    joined = b"".join([body[start:stop] for start, stop in cuts])
    filled = np.concatenate(([0], np.cumsum(lengths[order], dtype=np.int64)))
    return memoryview(joined), filled[ends].tolist()


def merge(rows: Sequence[BucketRow], pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
    """Merge rows into messages in position order.

    Args:
        rows: All rows of the appends that they belong to, ordered by (pos_first, bucket).
        pos_first: The first position wanted; what lies below is filtered out.
        pos_upto: The last position wanted.
        bytes_max: About how much (bodies and lengths); at least one message is returned, if any
            is there.
    """
    if not rows:
        return LogSlice(pos_first=pos_first, runs=(), lengths=b"", body=b"")
    counts = np.array([row.count for row in rows], dtype=np.int64)
    positions = np.concatenate(
        [np.frombuffer(row.offsets, dtype=U32).astype(np.int64) + row.pos_first for row in rows]
    )
    producers = np.concatenate([np.frombuffer(row.ids, dtype=U64)[: row.count] for row in rows])
    ns = np.concatenate([np.frombuffer(row.ids, dtype=U64)[row.count :] for row in rows])
    epochs = np.repeat(np.array([row.epoch for row in rows], dtype=np.int64), counts)
    widths = np.repeat(np.array([row.bucket_count for row in rows], dtype=np.int64), counts)
    lengths = np.concatenate([np.frombuffer(row.lengths, dtype=U32) for row in rows])
    body: bytes | memoryview
    body = rows[0].body if len(rows) == 1 else b"".join([row.body for row in rows])
    order = np.argsort(positions, kind="stable")
    order = order[np.searchsorted(positions[order], pos_first) :]
    order = order[: np.searchsorted(positions[order], pos_upto, side="right")]
    if not len(order):
        return LogSlice(pos_first=pos_first, runs=(), lengths=b"", body=b"")
    filled = np.cumsum(lengths[order].astype(np.int64) + 4)
    order = order[: max(1, int(np.searchsorted(filled, bytes_max, side="right")))]
    if len(order) == len(lengths) and bool((np.diff(order) == 1).all()):
        merged = bytes(body)
    else:
        merged = _pick(bytes(body), lengths, order)
    return LogSlice(
        pos_first=int(positions[order[0]]),
        runs=_runs(producers[order], ns[order], epochs[order], widths[order]),
        lengths=lengths[order].tobytes(),
        body=merged,
    )


def _pick(body: bytes, lengths: npt.NDArray[np.uint32], order: _Ints) -> bytes:
    """Return the bodies that `order` names, in that order."""
    width = int(lengths[0])
    if width and width * len(lengths) == len(body) and bool((lengths == width).all()):
        return np.frombuffer(body, dtype=np.dtype((np.void, width)))[order].tobytes()
    stops = np.cumsum(lengths, dtype=np.int64)
    starts = stops - lengths
    cuts = zip(starts[order].tolist(), stops[order].tolist(), strict=True)
    return b"".join([body[start:stop] for start, stop in cuts])


def _runs(
    producers: npt.NDArray[np.uint64], ns: npt.NDArray[np.uint64], epochs: _Ints, widths: _Ints
) -> tuple[Run, ...]:
    """Find the runs again: one producer, n rising by one, one epoch."""
    same = (
        (producers[1:] == producers[:-1])
        & (ns[1:] == ns[:-1] + np.uint64(1))
        & (epochs[1:] == epochs[:-1])
    )
    begins = np.concatenate(([0], np.flatnonzero(~same) + 1))
    counts = np.diff(np.concatenate((begins, [len(ns)])))
    columns = (producers[begins], ns[begins], counts, epochs[begins], widths[begins])
    return tuple(Run(*row) for row in zip(*(c.tolist() for c in columns), strict=True))
