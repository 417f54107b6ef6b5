"""A batch is stored and its sender is told that it certainly was not."""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

NUMBER = 20
"""Which of the batches it is."""

_append = CoreMachine._append


def append_and_refuse(self: CoreMachine, link: Link, segments: Iterable[m.Segment]) -> None:
    """Take all batches, and refuse one of them for good."""
    for segment in segments:
        _append(self, link, (segment,))
        count = self.__dict__["planted_count"] = self.__dict__.get("planted_count", 0) + 1
        if count == NUMBER:
            refused = m.RefusedRange(
                segment.inbox,
                segment.producer,
                segment.n_first,
                segment.count,
                ErrorCode.QUOTA,
                segment.n_first,
            )
            link.offer(m.Refused((refused,)))


BUG = PlantedBug(
    name="refused-but-stored",
    summary="A batch is refused for good although it was stored.",
    category=Category.CONTENT,
    replaces="the core's taking of batches",
    named_by=("A4",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=CoreMachine, name="_append", replacement=append_and_refuse),),
)
