"""A resend of what is assigned and not yet durable is answered at once as known."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Medium, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.wire.messages import OkRange, RefusedRange, Segment


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that takes "assigned" for "durable" when a batch comes again."""
    core = CoreMachine(settings, recovered)
    sequencer = core._sequencer
    append = sequencer.append

    def append_carelessly(link: Link, segment: Segment) -> OkRange | RefusedRange | None:
        lineage = sequencer.lineages.get((segment.producer, segment.inbox))
        if lineage is not None and segment.n_end <= lineage.n_assigned:
            return OkRange(segment.inbox, segment.producer, segment.n_first, segment.count, -1, -1)
        return append(link, segment)

    sequencer.append = append_carelessly  # type: ignore[method-assign]
    return core


BUG = PlantedBug(
    name="duplicate-before-commit",
    summary="A duplicate is acknowledged although the original is not durable yet.",
    category=Category.LOSS,
    replaces="the sequencer's append",
    named_by=("A1",),
    trial=Trial(scenario="power_loss", settings={"sync_ms": "700", "reset_before_s": "0.55"}),
    medium=Medium.POWER_LOSS,
    focus=(Action.DISK_SLOW,),
    core=make_core,
)
