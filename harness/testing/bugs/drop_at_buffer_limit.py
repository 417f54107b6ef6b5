"""A core whose buffer is full acknowledges a batch and drops it, instead of refusing it."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.producers import Lineage
from reference.core.sequencing import Sequencer
from reference.wire.errors import ErrorCode
from reference.wire.messages import OkRange, RefusedRange, Segment

_append = Sequencer.append


def append_or_drop(self: Sequencer, link: Link, segment: Segment) -> OkRange | RefusedRange | None:
    """Take a batch; one that would be refused as BUSY is noted as known and not stored."""
    said = _append(self, link, segment)
    if not isinstance(said, RefusedRange) or said.code is not ErrorCode.BUSY:
        return said
    key = (segment.producer, segment.inbox)
    group = self._gathering
    lineage = self.lineages.get(key)
    if lineage is None:
        lineage = self.lineages[key] = Lineage(*key)
    lineage.assign(segment, lineage.n_assigned - segment.n_first, group.commit_no)
    group.lineages[key] = lineage
    self._dirty(segment.inbox)
    known = OkRange(segment.inbox, segment.producer, segment.n_first, segment.count, -1, -1)
    group.oks.append((link, known))
    return None


BUG = PlantedBug(
    name="drop-at-buffer-limit",
    summary="A batch that finds the core's buffer full is acknowledged and dropped.",
    category=Category.BACKPRESSURE,
    replaces="the sequencer's append",
    named_by=("A1", "B3", "A2"),
    trial=Trial(
        scenario="tight",
        settings={"core_pending_bytes": "1500", "sync_ms": "40", "rate_per_s": "200"},
    ),
    patches=(Patch(owner=Sequencer, name="append", replacement=append_or_drop),),
)
