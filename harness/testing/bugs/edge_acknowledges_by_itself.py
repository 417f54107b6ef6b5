"""The edge says "durable" for what it has only taken into its buffer."""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.clients import ClientLine
from reference.edge.machine import EdgeMachine
from reference.wire import messages as m

_take = EdgeMachine._take_segments


def take_and_acknowledge(
    self: EdgeMachine, line: ClientLine, segments: Iterable[m.Segment], now_ns: int
) -> None:
    """Take batches as the real edge does, and acknowledge them at once."""
    taken = tuple(segments)
    _take(self, line, taken, now_ns)
    ranges = tuple(m.OkRange(s.inbox, s.producer, s.n_first, s.count, -1, -1) for s in taken)
    self._offer(line, m.Ok(ranges))


BUG = PlantedBug(
    name="edge-acknowledges-by-itself",
    summary="An edge acknowledges what the core has not stored yet.",
    category=Category.LOSS,
    place=Place.EDGE,
    replaces="the edge's taking of batches",
    named_by=("A1",),
    trial=Trial(scenario="kill", settings={"target": "edge:east"}),
    patches=(Patch(owner=EdgeMachine, name="_take_segments", replacement=take_and_acknowledge),),
)
