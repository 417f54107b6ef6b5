"""A core that starts takes what it finds for durable, though it may be in the page cache alone."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Medium, Patch, PlantedBug, Trial
from reference.store.sqlite import SqliteStore


def sync_nothing(self: SqliteStore) -> None:
    """Trust that whoever wrote the file has synced it."""


BUG = PlantedBug(
    name="recovered-without-sync",
    summary="What a killed core had not synced is acknowledged by the next, and lost with power.",
    category=Category.LOSS,
    replaces="the store's sync at a start",
    named_by=("A1", "A6"),
    trial=Trial(scenario="twice_killed"),
    medium=Medium.POWER_LOSS,
    patches=(Patch(owner=SqliteStore, name="sync", replacement=sync_nothing),),
)
