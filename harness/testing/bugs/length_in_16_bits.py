"""The store writes the length of a message in 16 bits, and as much of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Append, Writes
from reference.store.sqlite import SqliteStore

_commit = SqliteStore.commit


def commit_short_lengths(self: SqliteStore, writes: Writes) -> None:
    """Commit what the low 16 bits of every length say."""
    _commit(self, replace(writes, appends=tuple(map(_shortened, writes.appends))))


def _shortened(append: Append) -> Append:
    sizes = np.frombuffer(append.lengths, dtype="<u4")
    kept = (sizes & 0xFFFF).astype("<u4")
    ends = np.cumsum(sizes, dtype=np.int64)
    begins = (ends - sizes).tolist()
    cuts = [
        append.body[begin : begin + size] for begin, size in zip(begins, kept.tolist(), strict=True)
    ]
    return replace(append, lengths=kept.tobytes(), body=b"".join(cuts))


BUG = PlantedBug(
    name="length-in-16-bits",
    summary="A message over 64 KiB is stored short, and read short from the store.",
    category=Category.CONTENT,
    replaces="the store's commit",
    named_by=("A5",),
    trial=Trial(
        scenario="bulk",
        settings={
            "size_bytes_min": "50000",
            "size_bytes_max": "100000",
            "count": "40",
            "batch_count": "5",
        },
    ),
    patches=(Patch(owner=SqliteStore, name="commit", replacement=commit_short_lengths),),
)
