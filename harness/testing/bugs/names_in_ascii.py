"""The store writes names down in ASCII; every other letter becomes a question mark."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Writes
from reference.store.sqlite import SqliteStore

_commit = SqliteStore.commit


def commit_in_ascii(self: SqliteStore, writes: Writes) -> None:
    """Commit messages under what ASCII leaves of their inbox's name."""
    appends = tuple(
        replace(append, inbox=append.inbox.encode("ascii", "replace").decode("ascii"))
        for append in writes.appends
    )
    _commit(self, replace(writes, appends=appends))


BUG = PlantedBug(
    name="names-in-ascii",
    summary="Messages to an inbox with letters outside ASCII are stored under another name.",
    category=Category.LOSS,
    replaces="the store's commit",
    named_by=("C8", "A1"),
    trial=Trial(scenario="names"),
    patches=(Patch(owner=SqliteStore, name="commit", replacement=commit_in_ascii),),
)
