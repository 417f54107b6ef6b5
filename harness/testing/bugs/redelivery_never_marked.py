"""No delivery is marked as a redelivery, though an earlier session was sent the same."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, Piece, Session

_send = Deliverer._send


def send_as_new(self: Deliverer, session: Session, piece: Piece) -> bool:
    """Forget what the inbox's earlier sessions were sent."""
    self._sent_upto.pop(session.inbox.name, None)
    return _send(self, session, piece)


BUG = PlantedBug(
    name="redelivery-never-marked",
    summary="A message that is sent again is never marked as a redelivery.",
    category=Category.DUPLICATE,
    replaces="the core's sending of deliveries",
    named_by=("A16",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=Deliverer, name="_send", replacement=send_as_new),),
)
