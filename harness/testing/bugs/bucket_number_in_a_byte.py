"""The number of a bucket is kept in one byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import buckets
from reference.wire.messages import Run

_buckets_of = buckets.buckets_of


def buckets_in_a_byte(inbox: str, runs: Sequence[Run], bucket_count: int) -> npt.NDArray[np.uint16]:
    """Return what the low byte of every bucket's number says."""
    return _buckets_of(inbox, runs, bucket_count).astype(np.uint8).astype(np.uint16)


BUG = PlantedBug(
    name="bucket-number-in-a-byte",
    summary="Of more than 256 buckets those from 256 on are taken for those from 0 on.",
    category=Category.BUCKET,
    replaces="reference.core.buckets.buckets_of",
    named_by=("C1", "E1"),
    trial=Trial(scenario="bulk", settings={"bucket_count": "300", "count": "1000"}),
    patches=(Patch(owner=buckets, name="buckets_of", replacement=buckets_in_a_byte),),
)
