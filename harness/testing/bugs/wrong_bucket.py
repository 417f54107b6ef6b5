"""Messages are stored in the bucket beside their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core import buckets
from reference.wire.messages import Run

_buckets_of = buckets.buckets_of


def buckets_beside(inbox: str, runs: Sequence[Run], bucket_count: int) -> npt.NDArray[np.uint16]:
    """Return for every message the bucket after the one that its hash chooses."""
    right = _buckets_of(inbox, runs, bucket_count)
    return ((right + 1) % bucket_count).astype(np.uint16)


BUG = PlantedBug(
    name="wrong-bucket",
    summary="A message lies in another bucket than its hash says.",
    category=Category.BUCKET,
    replaces="reference.core.buckets.buckets_of",
    named_by=("C1",),
    trial=Trial(scenario="offline", settings={"bucket_count": "4", "kill": "before_login"}),
    focus=(Action.PROMOTE,),
    patches=(Patch(owner=buckets, name="buckets_of", replacement=buckets_beside),),
)
