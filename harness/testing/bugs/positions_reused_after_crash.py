"""A core that starts finds the next position from the messages that are left."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.events import Recovered
from reference.store.sqlite import SqliteStore

_recover = SqliteStore.recover


def recover_from_what_is_left(self: SqliteStore) -> Recovered:
    """Let positions go on behind the last stored message; a trimmed inbox begins at 0 again."""
    found = _recover(self)
    last = dict(self._writer.execute("SELECT inbox, max(pos_last) FROM offline_msg GROUP BY inbox"))
    inboxes = tuple(replace(mark, pos_next=last.get(mark.inbox, -1) + 1) for mark in found.inboxes)
    return replace(found, inboxes=inboxes)


BUG = PlantedBug(
    name="positions-reused-after-crash",
    summary="A trimmed inbox numbers its messages from 0 again after a restart.",
    category=Category.ORDER,
    replaces="the store's recover",
    named_by=("A6",),
    trial=Trial(scenario="offline", settings={"kill": "before_send", "retention": "ack"}),
    patches=(Patch(owner=SqliteStore, name="recover", replacement=recover_from_what_is_left),),
)
