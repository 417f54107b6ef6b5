"""The core recognises batches, not messages: what comes again must be cut as it was."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire.messages import OkRange, RefusedRange, Segment

_append = Sequencer.append


def append_unless_same_batch(
    self: Sequencer, link: Link, segment: Segment
) -> OkRange | RefusedRange | None:
    """Take a batch for known if one with its first number and count came before."""
    met: set[tuple[int, str, int, int]] = self.__dict__.setdefault("planted_met", set())
    batch = (segment.producer, segment.inbox, segment.n_first, segment.count)
    lineage = self.lineages.get((segment.producer, segment.inbox))
    if batch in met or lineage is None or segment.n_end > lineage.n_durable:
        said = _append(self, link, segment)
        if not isinstance(said, RefusedRange):
            met.add(batch)
        return said
    last = lineage.n_assigned, lineage.last_first, lineage.last_digest
    lineage.n_assigned = segment.n_first
    said = _append(self, link, segment)
    lineage.n_assigned, lineage.last_first, lineage.last_digest = last
    return said


BUG = PlantedBug(
    name="resend-matched-by-its-batch",
    summary="A resend that is cut otherwise than its original is stored again.",
    category=Category.DUPLICATE,
    replaces="the sequencer's append",
    named_by=("A7",),
    trial=Trial(scenario="outage", settings={"recut": "true"}),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_unless_same_batch),),
)
