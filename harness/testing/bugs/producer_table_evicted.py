"""The core remembers the 48 producers that it heard of last."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire.messages import OkRange, RefusedRange, Segment

PRODUCERS_MAX = 48

_append = Sequencer.append


def append_and_evict(
    self: Sequencer, link: Link, segment: Segment
) -> OkRange | RefusedRange | None:
    """Forget who is durable and was heard of longest ago, to make room for whoever comes."""
    key = (segment.producer, segment.inbox)
    if key not in self.lineages and len(self.lineages) >= PRODUCERS_MAX:
        idle = (
            known
            for known, lineage in self.lineages.items()
            if lineage.n_assigned == lineage.n_durable and known not in self._gathering.lineages
        )
        if (oldest := next(idle, None)) is not None:
            del self.lineages[oldest]
    said = _append(self, link, segment)
    if key in self.lineages:
        self.lineages[key] = self.lineages.pop(key)
    return said


BUG = PlantedBug(
    name="producer-table-evicted",
    summary="Of more than 48 producers the first are forgotten, and a resend stored again.",
    category=Category.DUPLICATE,
    replaces="the sequencer's append",
    named_by=("A7",),
    trial=Trial(scenario="crowd"),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_and_evict),),
)
