"""A client takes a batch that an edge has no room for as one that was taken."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.client.sender import SenderMachine
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

_refused = SenderMachine._refused


def busy_is_fine(self: SenderMachine, refused: m.RefusedRange, now_ns: int) -> None:
    """Report what was refused as BUSY as acknowledged."""
    lane = self._lanes.get(refused.inbox)
    if refused.code is ErrorCode.BUSY and lane is not None and not lane.dead:
        self._acknowledge(lane, refused.n_first + refused.count, -1, -1)
        return
    _refused(self, refused, now_ns)


BUG = PlantedBug(
    name="busy-taken-for-ok",
    summary="A batch that is refused as BUSY counts as acknowledged.",
    category=Category.BACKPRESSURE,
    place=Place.CLIENT,
    replaces="the sender's handling of refusals",
    named_by=("A1", "A2", "B3"),
    trial=Trial(scenario="tight", settings={"edge_buffer_bytes": "24000"}),
    patches=(Patch(owner=SenderMachine, name="_refused", replacement=busy_is_fine),),
)
