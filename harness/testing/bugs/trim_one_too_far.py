"""Trimming takes the message behind the cursor along."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.core.settings import Retention
from reference.wire import messages as m

_move = Sequencer.move_cursor


def move_and_trim_too_far(self: Sequencer, link: Link, mark: m.CursorMark) -> bool:
    """Move the cursor, and let the first message that is not acknowledged go too."""
    durable = _move(self, link, mark)
    if not durable and self._settings.retention is Retention.ACK:
        inbox = self.inboxes[mark.inbox]
        inbox.floor = inbox.cursor + 2
        self._gathering.trims[mark.inbox] = inbox.cursor + 1
    return durable


BUG = PlantedBug(
    name="trim-one-too-far",
    summary="Trimming removes one message more than was acknowledged.",
    category=Category.LOSS,
    replaces="the sequencer's trimming",
    named_by=("A12", "A1"),
    trial=Trial(scenario="offline", settings={"retention": "ack"}),
    patches=(Patch(owner=Sequencer, name="move_cursor", replacement=move_and_trim_too_far),),
)
