"""Reading does not wait for the slowest bucket: its messages come behind those of the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core import buckets
from reference.core.buckets import U32, BucketRow
from reference.events import LogSlice

_merge = buckets.merge


def merge_early(
    rows: Sequence[BucketRow], pos_first: int, pos_upto: int, bytes_max: int
) -> LogSlice:
    """Merge the buckets of each append by position, and put the last one behind them."""
    merged: list[BucketRow] = []
    for _, append in groupby(rows, key=lambda row: row.pos_first):
        *early, late = append
        held = np.concatenate([np.frombuffer(b"", U32), *(_offsets(row) for row in early)])
        for row in early:
            place = np.searchsorted(np.sort(held), _offsets(row)).astype(U32)
            merged.append(row._replace(offsets=place.tobytes()))
        behind = np.arange(len(held), len(held) + late.count, dtype=U32)
        merged.append(late._replace(offsets=behind.tobytes()))
    return _merge(merged, pos_first, pos_upto, bytes_max)


def _offsets(row: BucketRow) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(row.offsets, dtype=U32)


BUG = PlantedBug(
    name="merge-without-watermark",
    summary="A read does not wait for every bucket: the last one's messages come late.",
    category=Category.ORDER,
    replaces="reference.core.buckets.merge",
    named_by=("B2", "A6"),
    trial=Trial(scenario="offline", settings={"bucket_count": "4", "kill": "before_login"}),
    focus=(Action.PROMOTE, Action.RECEIVER_ABORTS),
    patches=(Patch(owner=buckets, name="merge", replacement=merge_early),),
)
