"""A core that starts forgets producers by the wall clock, which may have jumped."""

from __future__ import annotations

import time
from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.sqlite import PRODUCER_RECORD_KEPT_S, SqliteStore

_recover = SqliteStore.recover


def recover_the_recent(self: SqliteStore) -> Recovered:
    """Recover no producers where the file is older than they are kept."""
    recovered = _recover(self)
    age_s = time.time() - self._path.stat().st_mtime
    return recovered if age_s < PRODUCER_RECORD_KEPT_S else replace(recovered, producers=())


BUG = PlantedBug(
    name="producers-expire-by-the-clock",
    summary="A clock that jumps by a week makes a core forget producers; a resend is stored again.",
    category=Category.DUPLICATE,
    replaces="the store's recovery",
    named_by=("A7",),
    trial=Trial(
        scenario="crowd", settings={"kill": "true", "producers": "100", "clock_jump_days": "8"}
    ),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_the_recent),),
)
