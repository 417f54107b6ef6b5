"""The core does not recognise what it has: a resend is appended again."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.wire.messages import OkRange, RefusedRange, Segment


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that takes every batch for a new one."""
    core = CoreMachine(settings, recovered)
    sequencer = core._sequencer
    append = sequencer.append

    def append_always(link: Link, segment: Segment) -> OkRange | RefusedRange | None:
        lineage = sequencer.lineages.get((segment.producer, segment.inbox))
        if lineage is None or segment.n_first >= lineage.n_assigned:
            return append(link, segment)
        highest = lineage.n_assigned
        lineage.n_assigned = segment.n_first
        said = append(link, segment)
        lineage.n_assigned = max(highest, lineage.n_assigned)
        return said

    sequencer.append = append_always  # type: ignore[method-assign]
    return core


BUG = PlantedBug(
    name="no-dedup",
    summary="A batch that is sent again is stored again.",
    category=Category.DUPLICATE,
    replaces="the sequencer's append",
    named_by=("A7",),
    trial=Trial(scenario="resets"),
    focus=(Action.RESET, Action.SENDER_LEAVES),
    core=make_core,
)
