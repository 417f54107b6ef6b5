"""A commit keeps one append of each inbox: the last."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Writes
from reference.store.sqlite import SqliteStore

_commit = SqliteStore.commit


def commit_the_last_of_each(self: SqliteStore, writes: Writes) -> None:
    """Gather appends by inbox, as if an inbox had one in a commit."""
    appends = {append.inbox: append for append in writes.appends}
    _commit(self, replace(writes, appends=tuple(appends.values())))


BUG = PlantedBug(
    name="one-append-per-commit",
    summary="Of more than 1 MiB in one commit of an inbox the first part is not stored.",
    category=Category.LOSS,
    replaces="the store's commit",
    named_by=("C8", "A1"),
    trial=Trial(
        scenario="bulk",
        settings={
            "size_bytes_min": "9000",
            "size_bytes_max": "9000",
            "batch_count": "100",
            "producers": "4",
        },
    ),
    patches=(Patch(owner=SqliteStore, name="commit", replacement=commit_the_last_of_each),),
)
