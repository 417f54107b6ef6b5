"""The store writes the number of a message in 16 bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import buckets
from reference.wire.messages import Run

_id_columns = buckets._id_columns


def id_columns_in_16_bits(
    runs: Sequence[Run], count: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the producers, and the low 16 bits of every n."""
    producers, ns = _id_columns(runs, count)
    return producers, ns & np.uint64(0xFFFF)


BUG = PlantedBug(
    name="number-in-16-bits",
    summary="The 65,537th message of a producer is stored as its first.",
    category=Category.CONTENT,
    replaces="the store's column of numbers",
    named_by=("A6", "A7", "C2"),
    trial=Trial(
        scenario="bulk",
        settings={
            "count": "66000",
            "batch_count": "1000",
            "producers": "1",
            "size_bytes_min": "8",
            "size_bytes_max": "8",
        },
    ),
    patches=(Patch(owner=buckets, name="_id_columns", replacement=id_columns_in_16_bits),),
)
