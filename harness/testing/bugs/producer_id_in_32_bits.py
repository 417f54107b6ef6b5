"""The store writes the id of a producer in 32 bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import buckets
from reference.wire.messages import Run

_id_columns = buckets._id_columns


def id_columns_in_32_bits(
    runs: Sequence[Run], count: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the low 32 bits of every producer, and the numbers."""
    producers, ns = _id_columns(runs, count)
    return producers & np.uint64(0xFFFFFFFF), ns


BUG = PlantedBug(
    name="producer-id-in-32-bits",
    summary="What is read from the store is said to be of a sender that there is not.",
    category=Category.CONTENT,
    replaces="the store's column of producers",
    named_by=("A3", "A6", "C8"),
    trial=Trial(scenario="bulk"),
    patches=(Patch(owner=buckets, name="_id_columns", replacement=id_columns_in_32_bits),),
)
