"""Batches are recognised for a second; what is sent again later counts as new."""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

WINDOW_NS = 1_000_000_000

_append = CoreMachine._append


def append_with_a_window(self: CoreMachine, link: Link, segments: Iterable[m.Segment]) -> None:
    """Take a batch that was first seen longer ago than the window for a new one."""
    first_seen: dict[tuple[int, str, int], int] = self.__dict__.setdefault("planted_seen", {})
    lineages = self._sequencer.lineages
    for segment in segments:
        key = (segment.producer, segment.inbox)
        since_ns = first_seen.setdefault((*key, segment.n_first), self._now_ns)
        lineage = lineages.get(key)
        expired = self._now_ns - since_ns > WINDOW_NS
        if lineage is None or not expired or segment.n_end > lineage.n_durable:
            _append(self, link, (segment,))
            continue
        last = lineage.n_assigned, lineage.last_first, lineage.last_digest
        lineage.n_assigned = segment.n_first
        _append(self, link, (segment,))
        lineage.n_assigned, lineage.last_first, lineage.last_digest = last


BUG = PlantedBug(
    name="dedup-for-a-second",
    summary="After an outage of more than a second a resend is stored again.",
    category=Category.DUPLICATE,
    replaces="the core's taking of batches",
    named_by=("A7",),
    trial=Trial(scenario="outage"),
    patches=(Patch(owner=CoreMachine, name="_append", replacement=append_with_a_window),),
)
