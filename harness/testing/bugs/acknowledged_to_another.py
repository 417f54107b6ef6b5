"""An acknowledgement goes to another client than the one whose batch was stored."""

from __future__ import annotations

import msgspec

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.machine import EdgeMachine
from reference.wire import messages as m

EVERY = 3

_offer_to = EdgeMachine._offer_to


def offer_to_another(self: EdgeMachine, conn: int, message: m.Message) -> None:
    """Send every third acknowledgement to another producer, as if it were about its own batch."""
    if isinstance(message, m.Ok):
        count = self.__dict__["planted_count"] = self.__dict__.get("planted_count", 0) + 1
        (ok,) = message.ranges
        others = [producer for producer in self._owner if producer != ok.producer]
        if count % EVERY == 0 and others:
            conn = self._owner[others[0]]
            message = m.Ok((msgspec.structs.replace(ok, producer=others[0]),))
    _offer_to(self, conn, message)


BUG = PlantedBug(
    name="acknowledged-to-another",
    summary="The acknowledgement of one client's batch is given to another client.",
    category=Category.LOSS,
    place=Place.EDGE,
    replaces="the edge's answers to its clients",
    named_by=("A6", "A1"),
    trial=Trial(scenario="steady", settings={"latency_ms": "40"}),
    patches=(Patch(owner=EdgeMachine, name="_offer_to", replacement=offer_to_another),),
)
