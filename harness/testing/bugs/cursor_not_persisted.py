"""A cursor is confirmed and kept in memory, and not written down."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Writes
from reference.store.sqlite import SqliteStore

_commit = SqliteStore.commit


def commit_without_cursors(self: SqliteStore, writes: Writes) -> None:
    """Commit everything but the cursors."""
    inboxes = tuple(replace(mark, cursor=-1) for mark in writes.inboxes)
    _commit(self, replace(writes, inboxes=inboxes))


BUG = PlantedBug(
    name="cursor-not-persisted",
    summary="After a restart of the core the cursors are gone.",
    category=Category.CURSOR,
    replaces="the store's commit",
    named_by=("A13", "A9"),
    trial=Trial(scenario="offline", settings={"kill": "before_send", "from_cursor": "true"}),
    patches=(Patch(owner=SqliteStore, name="commit", replacement=commit_without_cursors),),
)
