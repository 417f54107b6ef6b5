"""The end of an inbox is answered as the position before its last message."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

_received = CoreMachine._received


def answer_one_short(self: CoreMachine, link: Link | None, message: m.Message) -> None:
    """Answer END by the last position but one."""
    if link is None or not isinstance(message, m.End):
        _received(self, link, message)
        return
    inbox = self._sequencer.inboxes.get(message.inbox)
    link.offer(m.EndOk(message.request, message.inbox, inbox.pos_end - 2 if inbox else -1))


BUG = PlantedBug(
    name="end-one-short",
    summary="An end is answered that leaves the last message out.",
    category=Category.ORDER,
    replaces="the core's answer to END",
    named_by=("B5",),
    trial=Trial(scenario="offline"),
    patches=(Patch(owner=CoreMachine, name="_received", replacement=answer_one_short),),
)
