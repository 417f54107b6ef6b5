"""Every delivery is marked as a redelivery, so the mark says nothing and excuses everything."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, Piece, Session

ALL = 2**62
"""Beyond every position of a run."""

_send = Deliverer._send


def send_as_old(self: Deliverer, session: Session, piece: Piece) -> bool:
    """Take everything for sent before."""
    self._sent_upto[session.inbox.name] = ALL
    return _send(self, session, piece)


BUG = PlantedBug(
    name="redelivery-always-marked",
    summary="Every message is marked as a redelivery.",
    category=Category.DUPLICATE,
    replaces="the core's sending of deliveries",
    named_by=("A16",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=Deliverer, name="_send", replacement=send_as_old),),
)
