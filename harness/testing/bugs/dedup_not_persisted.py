"""Which ids are known is kept in memory only: after a restart a producer begins anywhere."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.producers import Lineage
from reference.core.sequencing import Sequencer
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.reach import Reach
from reference.wire.messages import OkRange, RefusedRange, Segment

_init = Sequencer.__init__
_append = Sequencer.append


def begin_without_producers(
    self: Sequencer, settings: CoreSettings, recovered: Recovered, reach: Reach | None = None
) -> None:
    """Start from all that a store recovered but the producers."""
    _init(self, settings, replace(recovered, producers=()), reach)


def append_from_anywhere(
    self: Sequencer, link: Link, segment: Segment
) -> OkRange | RefusedRange | None:
    """Take the first batch of a producer at whatever n it begins."""
    key = (segment.producer, segment.inbox)
    if key not in self.lineages:
        self.lineages[key] = Lineage(*key)
        self.lineages[key].n_assigned = segment.n_first
    return _append(self, link, segment)


BUG = PlantedBug(
    name="dedup-not-persisted",
    summary="After a restart of the core a resend is not recognised.",
    category=Category.DUPLICATE,
    replaces="the sequencer's recovery and append",
    named_by=("A7",),
    trial=Trial(scenario="kill", settings={"target": "core"}),
    patches=(
        Patch(owner=Sequencer, name="__init__", replacement=begin_without_producers),
        Patch(owner=Sequencer, name="append", replacement=append_from_anywhere),
    ),
)
