"""An acknowledgement that still carries a superseded session moves the cursor."""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.wire.messages import CursorMark, CursorOk


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that does not look at the session of an ack, only at its position."""
    core = CoreMachine(settings, recovered)
    take = core._cursors

    def take_all(link: Link, marks: Iterable[CursorMark]) -> None:
        for mark in marks:
            inbox = core._sequencer.inboxes.get(mark.inbox)
            late = inbox is not None and 0 <= mark.session < inbox.session_durable
            if inbox is None or not late or mark.upto >= inbox.pos_end:
                take(link, (mark,))
            elif core._sequencer.move_cursor(link, mark):
                link.offer(CursorOk((mark,)))

    core._cursors = take_all  # type: ignore[method-assign]
    return core


BUG = PlantedBug(
    name="late-ack-accepted",
    summary="A cursor ack of a superseded session is accepted.",
    category=Category.CURSOR,
    replaces="the core's handling of cursor acks",
    named_by=("A14", "A12", "A11"),
    trial=Trial(scenario="second_device"),
    focus=(Action.ZOMBIE,),
    core=make_core,
)
