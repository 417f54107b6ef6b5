"""The core keeps one number per producer, for all inboxes that it writes to."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire.messages import OkRange, RefusedRange, Segment

_append = Sequencer.append


def append_by_producer(
    self: Sequencer, link: Link, segment: Segment
) -> OkRange | RefusedRange | None:
    """Take a batch for known if the producer has got as far with any inbox."""
    highest: dict[int, int] = self.__dict__.setdefault("planted_highest", {})
    known = (segment.producer, segment.inbox) in self.lineages
    if not known and segment.n_end <= highest.get(segment.producer, 0):
        return OkRange(segment.inbox, segment.producer, segment.n_first, segment.count, -1, -1)
    said = _append(self, link, segment)
    if not isinstance(said, RefusedRange):
        highest[segment.producer] = max(highest.get(segment.producer, 0), segment.n_end)
    return said


BUG = PlantedBug(
    name="one-sequence-per-producer",
    summary="What a producer sends first to its second inbox is taken for known.",
    category=Category.LOSS,
    replaces="the sequencer's append",
    named_by=("A1", "A2", "B3"),
    trial=Trial(scenario="roaming"),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_by_producer),),
)
