"""A batch is taken although an earlier one of its producer is missing."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.producers import Lineage
from reference.core.sequencing import Sequencer
from reference.wire.messages import OkRange, RefusedRange, Segment

_append = Sequencer.append


def append_over_gap(self: Sequencer, link: Link, segment: Segment) -> OkRange | RefusedRange | None:
    """Take what lies between the known and this batch for known."""
    key = (segment.producer, segment.inbox)
    lineage = self.lineages.get(key)
    if segment.n_first > (lineage.n_assigned if lineage else 0):
        if lineage is None:
            lineage = self.lineages[key] = Lineage(*key)
        lineage.n_assigned = segment.n_first
    return _append(self, link, segment)


BUG = PlantedBug(
    name="gap-accepted",
    summary="A gap in a producer's numbers is not refused; what fills it later is taken for known.",
    category=Category.LOSS,
    replaces="the sequencer's append",
    named_by=("A1", "B3", "A2"),
    trial=Trial(scenario="tight", settings={"edge_buffer_bytes": "24000"}),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_over_gap),),
)
