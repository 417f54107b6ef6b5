"""Trimming takes everything that was assigned; the cache hides it from whoever keeps up."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.core.settings import Retention
from reference.wire import messages as m

_move = Sequencer.move_cursor


def move_and_trim_all(self: Sequencer, link: Link, mark: m.CursorMark) -> bool:
    """Move the cursor, and let everything below the next position go."""
    durable = _move(self, link, mark)
    if not durable and self._settings.retention is Retention.ACK:
        inbox = self.inboxes[mark.inbox]
        inbox.floor = inbox.pos_next
        self._gathering.trims[mark.inbox] = inbox.pos_next - 1
    return durable


BUG = PlantedBug(
    name="trim-to-the-end",
    summary="An acknowledgement trims all that was stored; only what is in memory is delivered.",
    category=Category.LOSS,
    replaces="the sequencer's trimming",
    named_by=("A12", "A1", "C8"),
    trial=Trial(scenario="second_device", settings={"retention": "ack"}),
    patches=(Patch(owner=Sequencer, name="move_cursor", replacement=move_and_trim_all),),
)
