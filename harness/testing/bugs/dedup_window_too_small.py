"""The core recognises only the last batch of a producer: an older one is appended again."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire.messages import OkRange, RefusedRange, Segment

_append = Sequencer.append


def append_with_short_memory(
    self: Sequencer, link: Link, segment: Segment
) -> OkRange | RefusedRange | None:
    """Take a batch that ends below the last one for a new one."""
    lineage = self.lineages.get((segment.producer, segment.inbox))
    if lineage is None or segment.n_end > lineage.last_first:
        return _append(self, link, segment)
    last = lineage.n_assigned, lineage.last_first, lineage.last_digest
    lineage.n_assigned = segment.n_first
    said = _append(self, link, segment)
    lineage.n_assigned, lineage.last_first, lineage.last_digest = last
    return said


BUG = PlantedBug(
    name="dedup-window-too-small",
    summary="Only the last batch of a producer is recognised when it comes again.",
    category=Category.DUPLICATE,
    replaces="the sequencer's append",
    named_by=("A7",),
    trial=Trial(scenario="resets"),
    focus=(Action.RESET, Action.SENDER_LEAVES),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_with_short_memory),),
)
