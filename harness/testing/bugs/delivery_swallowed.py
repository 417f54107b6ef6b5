"""A receiver takes a delivery, acknowledges it later, and never shows it to its application."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.client.receiver import ReceiverMachine
from reference.wire import messages as m

EVERY = 5

_delivered = ReceiverMachine._delivered


def deliver_or_swallow(self: ReceiverMachine, delivery: m.Delivery) -> None:
    """Keep every fifth delivery from the application."""
    _delivered(self, delivery)
    count = self.__dict__["planted_count"] = self.__dict__.get("planted_count", 0) + 1
    if count % EVERY == 0 and self._out:
        self._out.pop()


BUG = PlantedBug(
    name="delivery-swallowed",
    summary="A receiver loses a delivery between the network and its application.",
    category=Category.LOSS,
    place=Place.CLIENT,
    replaces="the receiver's taking of deliveries",
    named_by=("A11",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=ReceiverMachine, name="_delivered", replacement=deliver_or_swallow),),
)
