"""A core that starts begins with an empty store, whatever it had acknowledged before."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.ledger import put_totals
from reference.store.sqlite import SqliteStore

TABLES = ("offline_msg", "inbox", "epoch", "bucket_next", "producer", "forgotten")

_recover = SqliteStore.recover


def recover_nothing(self: SqliteStore) -> Recovered:
    """Empty every table, then recover."""
    for table in TABLES:
        self._writer.execute(f"DELETE FROM {table}")
    put_totals(self._writer, 0, 0)
    return _recover(self)


BUG = PlantedBug(
    name="forget-on-restart",
    summary="A core that starts again has forgotten everything.",
    category=Category.LOSS,
    replaces="the store's recover",
    named_by=("A1", "A6"),
    trial=Trial(scenario="offline", settings={"kill": "before_login"}),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_nothing),),
)
