"""An edge takes batches beyond the limit of its buffer."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.clients import ClientLine
from reference.edge.machine import EdgeMachine
from reference.edge.uplink import Uplink
from reference.wire.errors import ErrorCode
from reference.wire.messages import Segment

_room_for = EdgeMachine._room_for


def always_room(
    self: EdgeMachine, line: ClientLine, link: Uplink, segment: Segment, now_ns: int
) -> ErrorCode | None:
    """Refuse for want of a link, never for want of room."""
    code = _room_for(self, line, link, segment, now_ns)
    return None if code is ErrorCode.BUSY else code


BUG = PlantedBug(
    name="unbounded-buffer",
    summary="The buffer of an edge grows beyond its named limit.",
    category=Category.BACKPRESSURE,
    place=Place.EDGE,
    replaces="the edge's look at its buffer",
    named_by=("D7",),
    trial=Trial(scenario="tight", settings={"edge_buffer_bytes": "24000"}),
    patches=(Patch(owner=EdgeMachine, name="_room_for", replacement=always_room),),
)
