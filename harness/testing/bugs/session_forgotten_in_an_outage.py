"""A session that an edge brings back after more than a second goes on at the inbox's end."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

MEMORY_NS = 1_000_000_000

_closed = CoreMachine._closed
_resume = CoreMachine._resume


def note_when_lost(self: CoreMachine, conn: int) -> None:
    """Note when the sessions of a link were lost."""
    link = self._links.get(conn)
    if link is not None:
        lost: dict[str, int] = self.__dict__.setdefault("planted_lost", {})
        lost[link.node] = self._now_ns
    _closed(self, conn)


def resume_at_the_end(self: CoreMachine, link: Link, marks: Iterable[m.ResumeMark]) -> None:
    """Take what a session lacks for received where its link was away for too long."""
    lost: dict[str, int] = self.__dict__.get("planted_lost", {})
    if self._now_ns - lost.get(link.node, self._now_ns) > MEMORY_NS:
        inboxes = self._sequencer.inboxes
        marks = [
            msgspec.structs.replace(mark, received_pos=inboxes[mark.inbox].pos_end - 1)
            if mark.inbox in inboxes
            else mark
            for mark in marks
        ]
    _resume(self, link, marks)


BUG = PlantedBug(
    name="session-forgotten-in-an-outage",
    summary="A session whose link was away for more than a second goes on at the inbox's end.",
    category=Category.CURSOR,
    replaces="the core's resuming of sessions",
    named_by=("A17", "A11"),
    trial=Trial(scenario="outage"),
    patches=(
        Patch(owner=CoreMachine, name="_closed", replacement=note_when_lost),
        Patch(owner=CoreMachine, name="_resume", replacement=resume_at_the_end),
    ),
)
