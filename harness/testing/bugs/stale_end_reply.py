"""The end of an inbox is answered with what it was when it was asked for first."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

_received = CoreMachine._received


def answer_from_memory(self: CoreMachine, link: Link | None, message: m.Message) -> None:
    """Remember the first answer of each inbox."""
    if link is None or not isinstance(message, m.End):
        _received(self, link, message)
        return
    ends: dict[str, int] = self.__dict__.setdefault("planted_ends", {})
    inbox = self._sequencer.inboxes.get(message.inbox)
    pos = ends.setdefault(message.inbox, inbox.pos_end - 1 if inbox else -1)
    link.offer(m.EndOk(message.request, message.inbox, pos))


BUG = PlantedBug(
    name="stale-end-reply",
    summary="An end is read that was true earlier.",
    category=Category.ORDER,
    replaces="the core's answer to END",
    named_by=("B5",),
    trial=Trial(scenario="offline"),
    patches=(Patch(owner=CoreMachine, name="_received", replacement=answer_from_memory),),
)
