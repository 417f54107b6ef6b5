"""Reading joins bucket rows in the order in which they come, not by position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core import buckets
from reference.core.buckets import U32, BucketRow
from reference.events import LogSlice

_merge = buckets.merge


def merge_by_arrival(
    rows: Sequence[BucketRow], pos_first: int, pos_upto: int, bytes_max: int
) -> LogSlice:
    """Give each append's positions to its rows one after the other, whatever they say."""
    arrived: list[BucketRow] = []
    next_offset = 0
    for at, row in enumerate(rows):
        if at == 0 or row.pos_first != rows[at - 1].pos_first:
            next_offset = 0
        offsets = np.arange(next_offset, next_offset + row.count, dtype=U32)
        arrived.append(row._replace(offsets=offsets.tobytes()))
        next_offset += row.count
    return _merge(arrived, pos_first, pos_upto, bytes_max)


BUG = PlantedBug(
    name="merge-by-arrival",
    summary="An inbox read from the store comes bucket by bucket, not in position order.",
    category=Category.ORDER,
    replaces="reference.core.buckets.merge",
    named_by=("B2", "A6"),
    trial=Trial(scenario="offline", settings={"bucket_count": "4", "kill": "before_login"}),
    focus=(Action.PROMOTE, Action.RECEIVER_ABORTS),
    patches=(Patch(owner=buckets, name="merge", replacement=merge_by_arrival),),
)
