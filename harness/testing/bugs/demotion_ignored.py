"""An inbox never gets fewer buckets: the new epoch is confirmed and keeps the old count."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Inbox, Sequencer
from reference.wire import messages as m

_build = Sequencer._build


def build_in_the_widest(
    self: Sequencer, inbox: Inbox, segment: m.Segment, start: int, stop: int
) -> None:
    """Store by the largest bucket count that the inbox ever had."""
    real = inbox.epochs[-1]
    widest = max(entry.bucket_count for entry in inbox.epochs)
    inbox.epochs[-1] = m.EpochEntry(real.epoch, widest, real.pos_first)
    _build(self, inbox, segment, start, stop)
    inbox.epochs[-1] = real


BUG = PlantedBug(
    name="demotion-ignored",
    summary="A demotion is confirmed, and messages still go to as many buckets as before.",
    category=Category.EPOCH,
    replaces="the sequencer's choice of the bucket count",
    named_by=("C1",),
    trial=Trial(scenario="demoted"),
    patches=(Patch(owner=Sequencer, name="_build", replacement=build_in_the_widest),),
)
