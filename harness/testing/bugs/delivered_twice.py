"""A receiver hands a delivery to its application twice."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.client.outcomes import Delivered
from reference.client.receiver import ReceiverMachine
from reference.wire import messages as m

EVERY = 5

_delivered = ReceiverMachine._delivered


def deliver_again(self: ReceiverMachine, delivery: m.Delivery) -> None:
    """Report every fifth delivery twice."""
    _delivered(self, delivery)
    count = self.__dict__["planted_count"] = self.__dict__.get("planted_count", 0) + 1
    if count % EVERY == 0 and self._out:
        self._out.append(Delivered(delivery=delivery))


BUG = PlantedBug(
    name="delivered-twice",
    summary="A receiver hands a delivery to its application twice.",
    category=Category.DUPLICATE,
    place=Place.CLIENT,
    replaces="the receiver's taking of deliveries",
    named_by=("A8", "A10"),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=ReceiverMachine, name="_delivered", replacement=deliver_again),),
)
