"""A cursor is confirmed when it is asked for, before it is durable."""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, Medium, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

_cursors = CoreMachine._cursors


def confirm_at_once(self: CoreMachine, link: Link, marks: Iterable[m.CursorMark]) -> None:
    """Move the cursors, and tell at once that they have moved."""
    asked = tuple(marks)
    _cursors(self, link, asked)
    link.offer(m.CursorOk(asked))


BUG = PlantedBug(
    name="cursor-confirmed-before-commit",
    summary="A cursor is confirmed before it is durable, and gone after a power loss.",
    category=Category.CURSOR,
    replaces="the core's moving of cursors",
    named_by=("A13", "A9"),
    trial=Trial(scenario="power_loss", settings={"sync_ms": "150", "kill_edges": "true"}),
    medium=Medium.POWER_LOSS,
    patches=(Patch(owner=CoreMachine, name="_cursors", replacement=confirm_at_once),),
)
