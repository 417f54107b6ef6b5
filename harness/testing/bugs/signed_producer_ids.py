"""Half of all producer ids come out of the store as negative numbers, which nobody has."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.sqlite import SqliteStore

_recover = SqliteStore.recover


def recover_signed(self: SqliteStore) -> Recovered:
    """Recover producers by the signed number that SQLite keeps."""
    recovered = _recover(self)
    producers = tuple(
        replace(mark, producer=mark.producer - (1 << 64) if mark.producer >> 63 else mark.producer)
        for mark in recovered.producers
    )
    return replace(recovered, producers=producers)


BUG = PlantedBug(
    name="signed-producer-ids",
    summary="After a restart producers with an id from 2^63 on are unknown, and stored again.",
    category=Category.DUPLICATE,
    replaces="the store's recovery",
    named_by=("A7",),
    trial=Trial(scenario="crowd", settings={"kill": "true", "producers": "100"}),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_signed),),
)
