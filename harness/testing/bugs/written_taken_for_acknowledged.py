"""A sender whose connection ends takes what it had written for delivered."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.client.sender import SenderMachine

_forget_connection = SenderMachine._forget_connection


def forget_what_was_written(self: SenderMachine) -> None:
    """Report everything in flight as acknowledged."""
    for lane in self._lanes.values():
        if lane.flying:
            self._acknowledge(lane, lane.flying[-1].segment.n_end, -1, -1)
    _forget_connection(self)


BUG = PlantedBug(
    name="written-taken-for-acknowledged",
    summary="What a sender had written when its connection ended counts as acknowledged.",
    category=Category.LOSS,
    place=Place.CLIENT,
    replaces="the sender's handling of a lost connection",
    named_by=("A1", "A2", "B3"),
    trial=Trial(scenario="churn"),
    patches=(
        Patch(owner=SenderMachine, name="_forget_connection", replacement=forget_what_was_written),
    ),
)
