"""The first new batch on a core link that replaces a lost one is taken for a duplicate."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.producers import Lineage
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.wire.messages import OkRange, RefusedRange, Segment


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that acknowledges one batch after each reconnect without storing it."""
    core = CoreMachine(settings, recovered)
    sequencer = core._sequencer
    append = sequencer.append
    met: set[str] = set()
    greeted: set[int] = set()

    def append_but_first(link: Link, segment: Segment) -> OkRange | RefusedRange | None:
        if link.node not in met:
            met.add(link.node)
            greeted.add(link.conn)
        key = (segment.producer, segment.inbox)
        lineage = sequencer.lineages.get(key)
        if link.conn in greeted or segment.n_first != (lineage.n_assigned if lineage else 0):
            return append(link, segment)
        greeted.add(link.conn)
        if lineage is None:
            lineage = sequencer.lineages[key] = Lineage(segment.producer, segment.inbox)
        group = sequencer._gathering
        lineage.assign(segment, 0, group.commit_no)
        group.lineages[key] = lineage
        sequencer._dirty(segment.inbox)
        known = OkRange(segment.inbox, segment.producer, segment.n_first, segment.count, -1, -1)
        group.oks.append((link, known))
        return None

    sequencer.append = append_but_first  # type: ignore[method-assign]
    return core


BUG = PlantedBug(
    name="drop-batch-at-reconnect",
    summary="A batch that crosses a reconnect is acknowledged and not stored.",
    category=Category.LOSS,
    replaces="the sequencer's append",
    named_by=("A1",),
    trial=Trial(scenario="resets"),
    focus=(Action.RESET, Action.EDGE_CRASHES),
    core=make_core,
)
