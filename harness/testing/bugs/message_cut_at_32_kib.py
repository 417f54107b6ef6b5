"""The edge keeps 32 KiB of a message, and sends what it kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.clients import ClientLine
from reference.edge.machine import EdgeMachine
from reference.wire import messages as m

KEPT_BYTES = 32 * 1024

_take = EdgeMachine._take_segments


def take_up_to_32_kib(
    self: EdgeMachine, line: ClientLine, segments: Iterable[m.Segment], now_ns: int
) -> None:
    """Cut every longer message."""
    _take(self, line, [_shortened(segment) for segment in segments], now_ns)


def _shortened(segment: m.Segment) -> m.Segment:
    sizes = np.frombuffer(segment.lengths, dtype="<u4")
    if not len(sizes) or int(sizes.max()) <= KEPT_BYTES:
        return segment
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    kept = np.minimum(sizes, KEPT_BYTES).astype("<u4")
    cuts = [
        segment.body[end - size : end - size + keep]
        for end, size, keep in zip(ends, sizes.tolist(), kept.tolist(), strict=True)
    ]
    return replace(segment, lengths=kept.tobytes(), body=b"".join(cuts))


BUG = PlantedBug(
    name="message-cut-at-32-kib",
    summary="Of a message over 32 KiB the rest is lost.",
    category=Category.CONTENT,
    place=Place.EDGE,
    replaces="the edge's taking of batches",
    named_by=("A5",),
    trial=Trial(
        scenario="bulk",
        settings={"size_bytes_min": "20000", "size_bytes_max": "50000", "count": "60"},
    ),
    patches=(Patch(owner=EdgeMachine, name="_take_segments", replacement=take_up_to_32_kib),),
)
