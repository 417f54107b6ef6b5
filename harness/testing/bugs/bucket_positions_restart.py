"""The positions within a bucket begin at 0 again with every commit."""

from __future__ import annotations

from collections.abc import Sequence

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import buckets
from reference.core.buckets import BucketRow
from reference.events import Append

_split = buckets.split


def split_from_zero(
    append: Append, bucket_next: Sequence[int]
) -> tuple[list[BucketRow], list[int]]:
    """Split as if nothing lay in the buckets."""
    return _split(append, [0] * len(bucket_next))


BUG = PlantedBug(
    name="bucket-positions-restart",
    summary="Messages of a bucket share their position in it with earlier ones.",
    category=Category.BUCKET,
    replaces="reference.core.buckets.split",
    named_by=("C3",),
    trial=Trial(scenario="offline", settings={"bucket_count": "4", "kill": "before_login"}),
    patches=(Patch(owner=buckets, name="split", replacement=split_from_zero),),
)
