"""The cursor moves when a message is sent to the receiver, not when it says that it has it."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, PlantedBug, Trial
from reference.core.delivery import Piece, Session
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings, Retention
from reference.events import Recovered


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that takes what it sends for consumed."""
    core = CoreMachine(settings, recovered)
    sequencer, deliverer = core._sequencer, core._deliverer
    send = deliverer._send

    def send_and_forget(session: Session, piece: Piece) -> bool:
        sent = send(session, piece)
        if sent:
            inbox = sequencer._dirty(session.inbox.name)
            inbox.cursor = max(inbox.cursor, session.next_pos - 1)
            if settings.retention is Retention.ACK:
                inbox.floor = max(inbox.floor, inbox.cursor + 1)
                sequencer._gathering.trims[inbox.name] = inbox.cursor
        return sent

    deliverer._send = send_and_forget  # type: ignore[method-assign]
    return core


BUG = PlantedBug(
    name="cursor-before-delivery",
    summary="The cursor is moved before the receiver has the message.",
    category=Category.CURSOR,
    replaces="the core's sending of deliveries",
    named_by=("A12", "A1"),
    trial=Trial(scenario="reader_churn"),
    core=make_core,
)
