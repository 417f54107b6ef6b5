"""The edge changes one bit of a message on its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.clients import ClientLine
from reference.edge.machine import EdgeMachine
from reference.wire import messages as m

EVERY = 7

_take = EdgeMachine._take_segments


def take_damaged(
    self: EdgeMachine, line: ClientLine, segments: Iterable[m.Segment], now_ns: int
) -> None:
    """Flip the lowest bit of the last byte in every seventh batch."""
    taken = []
    for segment in segments:
        count = self.__dict__["planted_count"] = self.__dict__.get("planted_count", 0) + 1
        if count % EVERY == 0:
            body = segment.body[:-1] + bytes([segment.body[-1] ^ 1])
            taken.append(replace(segment, body=body))
        else:
            taken.append(segment)
    _take(self, line, taken, now_ns)


BUG = PlantedBug(
    name="payload-flip",
    summary="A bit of a message is flipped on its way.",
    category=Category.CONTENT,
    place=Place.EDGE,
    replaces="the edge's taking of batches",
    named_by=("A5",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=EdgeMachine, name="_take_segments", replacement=take_damaged),),
)
