"""A core that starts again takes the cursors for unset; whoever names a place does not notice."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.sqlite import SqliteStore

_recover = SqliteStore.recover


def recover_without_cursors(self: SqliteStore) -> Recovered:
    """Recover everything but the cursors."""
    recovered = _recover(self)
    return replace(recovered, inboxes=tuple(replace(i, cursor=-1) for i in recovered.inboxes))


BUG = PlantedBug(
    name="cursor-lost-at-kill",
    summary="A confirmed cursor is gone after a kill, and its reader names its place itself.",
    category=Category.CURSOR,
    replaces="the store's recovery",
    named_by=("A13",),
    trial=Trial(scenario="offline", settings={"kill": "before_send"}),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_without_cursors),),
)
