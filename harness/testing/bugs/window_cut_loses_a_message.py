"""Where a piece is cut to fit the window, delivery goes on one message too far."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, Piece, Session

_send = Deliverer._send


def send_and_skip(self: Deliverer, session: Session, piece: Piece) -> bool:
    """Skip the message behind a cut, and tell the client that it has it."""
    sent = _send(self, session, piece)
    rest = piece.pos_first + piece.count - session.next_pos
    if sent and rest > 1:
        session.next_pos += 1
    return sent


BUG = PlantedBug(
    name="window-cut-loses-a-message",
    summary="Where a delivery is cut to fit the window, the next message is left out.",
    category=Category.LOSS,
    replaces="the core's cutting of deliveries",
    named_by=("A17", "A11"),
    trial=Trial(scenario="narrow"),
    patches=(Patch(owner=Deliverer, name="_send", replacement=send_and_skip),),
)
