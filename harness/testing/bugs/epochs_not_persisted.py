"""Promotions are kept in memory, and not written down."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.sqlite import SqliteStore

_recover = SqliteStore.recover


def recover_without_epochs(self: SqliteStore) -> Recovered:
    """Recover everything but the epochs; new messages go to one bucket again."""
    recovered = _recover(self)
    self._ledger.bucket_next.clear()
    return replace(recovered, epochs=())


BUG = PlantedBug(
    name="epochs-not-persisted",
    summary="After a restart of the core a promotion is forgotten.",
    category=Category.EPOCH,
    replaces="the store's recovery",
    named_by=("C5", "C4"),
    trial=Trial(scenario="offline", settings={"bucket_count": "4", "kill": "before_send"}),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_without_epochs),),
)
