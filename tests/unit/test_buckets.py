"""Splitting into buckets and merging again: placement, order, bucket positions, mixed lengths."""

from __future__ import annotations

import numpy as np
import pytest

from reference.core.buckets import merge, split
from reference.events import Append
from reference.wire.bucket_hash import bucket_of
from reference.wire.messages import Run


def append_of(
    bodies: list[bytes], *, bucket_count: int, pos_first: int = 0, epoch: int = 1, runs: int = 1
) -> Append:
    """Return an append whose runs interleave producers as evenly as `runs` says."""
    counts = [len(part) for part in np.array_split(np.arange(len(bodies)), runs)]
    made: list[Run] = []
    next_n: dict[int, int] = {}
    for i, count in enumerate(counts):
        producer = 2**64 - 1 - i % 3
        n_first = next_n.get(producer, 2**40)
        made.append(Run(producer, n_first, count, epoch, bucket_count))
        next_n[producer] = n_first + count
    return Append(
        inbox="vip",
        pos_first=pos_first,
        epoch=epoch,
        bucket_count=bucket_count,
        runs=tuple(made),
        lengths=np.array([len(body) for body in bodies], dtype="<u4").tobytes(),
        body=b"".join(bodies),
    )


BODIES = {
    "equal": [b"%08d" % i for i in range(200)],
    "mixed": [b"x" * (i % 7) + b"%d" % i for i in range(200)],
    "empty": [b""] * 200,
    "one": [b"alone"],
    "first empty": [b"", b"a", b"bc"],
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("bucket_count", [1, 2, 5, 50, 1_024])
@pytest.mark.parametrize("runs", [1, 3])
def test_merging_a_split_gives_it_back(kind: str, bucket_count: int, runs: int) -> None:
    bodies = BODIES[kind]
    append = append_of(bodies, bucket_count=bucket_count, pos_first=30, runs=min(runs, len(bodies)))
    rows, _ = split(append, [0] * bucket_count)
    log = merge(rows, 0, 10_000, 10**9)
    assert log.pos_first == 30
    assert log.runs == append.runs
    assert (log.lengths, log.body) == (append.lengths, append.body)


@pytest.mark.parametrize("kind", ["equal", "mixed"])
def test_each_message_lies_where_the_hash_says(kind: str) -> None:
    append = append_of(BODIES[kind], bucket_count=5, pos_first=10, runs=4)
    ids = [(r.producer, r.n_first + i) for r in append.runs for i in range(r.count)]
    rows, after = split(append, [100, 200, 300, 400, 500])
    seen = 0
    for row in rows:
        offsets = np.frombuffer(row.offsets, dtype="<u4").tolist()
        columns = np.frombuffer(row.ids, dtype="<u8").tolist()
        found = list(zip(columns[: row.count], columns[row.count :], strict=True))
        assert offsets == sorted(offsets)
        assert found == [ids[i] for i in offsets]
        assert {bucket_of(p, "vip", n, 5) for p, n in found} == {row.bucket}
        assert bytes(row.body) == b"".join(BODIES[kind][i] for i in offsets)
        assert np.frombuffer(row.lengths, dtype="<u4").sum() == len(row.body)
        assert (row.pos_first, row.pos_last) == (10, 10 + len(ids) - 1)
        assert row.bpos_first == 100 * (row.bucket + 1)
        assert after[row.bucket] == row.bpos_first + row.count
        seen += row.count
    assert seen == len(ids)


def test_a_bucket_without_messages_has_no_row_and_keeps_its_position() -> None:
    rows, after = split(append_of([b"a", b"b"], bucket_count=50), list(range(50)))
    assert 1 <= len(rows) <= 2
    assert sum(after) == sum(range(50)) + 2
    used = {row.bucket for row in rows}
    assert all(after[b] == b for b in range(50) if b not in used)


@pytest.mark.parametrize("bucket_count", [1, 5])
@pytest.mark.parametrize("kind", ["equal", "mixed"])
def test_a_merge_is_cut_by_positions_and_bytes(kind: str, bucket_count: int) -> None:
    bodies = BODIES[kind]
    rows, _ = split(append_of(bodies, bucket_count=bucket_count), [0] * bucket_count)
    part = merge(rows, 17, 19, 10**9)
    assert (part.pos_first, part.count) == (17, 3)
    assert part.body == b"".join(bodies[17:20])
    two = len(bodies[17]) + len(bodies[18]) + 8
    assert merge(rows, 17, 199, two).count == 2
    assert merge(rows, 17, 199, two - 1).count == 1
    assert merge(rows, 17, 199, 0).count == 1
    assert merge(rows, 200, 300, 100).count == 0
    assert merge([], 5, 10, 100).pos_first == 5


def test_runs_are_cut_at_gaps_producers_and_epochs() -> None:
    first = append_of([b"a", b"b"], bucket_count=1, epoch=0)
    second = append_of([b"c"], bucket_count=3, pos_first=2, epoch=1)
    follows = Run(first.runs[0].producer, first.runs[0].n_first + 2, 1, 1, 3)
    second = Append(
        inbox="vip",
        pos_first=2,
        epoch=1,
        bucket_count=3,
        runs=(follows,),
        lengths=second.lengths,
        body=second.body,
    )
    rows = split(first, [0])[0] + split(second, [0, 0, 0])[0]
    assert merge(rows, 0, 10, 100).runs == (*first.runs, follows)
