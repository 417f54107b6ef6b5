"""Session numbers are kept in memory only, so a core that starts again counts from 1."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Writes
from reference.store.sqlite import SqliteStore

_commit = SqliteStore.commit


def commit_without_sessions(self: SqliteStore, writes: Writes) -> None:
    """Commit everything but the session numbers."""
    inboxes = tuple(replace(mark, session=0) for mark in writes.inboxes)
    _commit(self, replace(writes, inboxes=inboxes))


BUG = PlantedBug(
    name="session-numbers-reused",
    summary="After a kill of the core session numbers are given out again.",
    category=Category.CURSOR,
    replaces="the store's commit",
    named_by=("A15",),
    trial=Trial(scenario="offline", settings={"kill": "before_login"}),
    patches=(Patch(owner=SqliteStore, name="commit", replacement=commit_without_sessions),),
)
