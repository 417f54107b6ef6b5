"""From an edge's third connection on, two batches of one sender that come together change places.

The first reconnect goes well: a test that breaks a link once does not see it.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.sequencing import Sequencer
from reference.wire import messages as m

RECONNECTS_FINE = 1

_append = CoreMachine._append


def append_in_pairs(self: CoreMachine, link: Link, segments: Iterable[m.Segment]) -> None:
    """Give the second of two new batches of one sender its positions first."""
    met: dict[str, list[int]] = self.__dict__.setdefault("planted_links", {})
    connections = met.setdefault(link.node, [])
    if link.conn not in connections:
        connections.append(link.conn)
    waiting = list(segments)
    if connections.index(link.conn) <= RECONNECTS_FINE:
        _append(self, link, waiting)
        return
    while waiting:
        first = waiting.pop(0)
        if waiting and _exchanged(self._sequencer, link, first, waiting[0]):
            waiting.pop(0)
        else:
            _append(self, link, (first,))


def _exchanged(sequencer: Sequencer, link: Link, first: m.Segment, second: m.Segment) -> bool:
    """Append both in the wrong order, if the second follows the first and both are new."""
    key = (first.producer, first.inbox)
    lineage = sequencer.lineages.get(key)
    follows = (second.producer, second.inbox, second.n_first) == (*key, first.n_end)
    if lineage is None or not follows or first.n_first != lineage.n_assigned:
        return False
    lineage.n_assigned = second.n_first
    sequencer.append(link, second)
    last = lineage.n_assigned, lineage.last_first, lineage.last_digest
    lineage.n_assigned = first.n_first
    sequencer.append(link, first)
    lineage.n_assigned, lineage.last_first, lineage.last_digest = last
    return True


BUG = PlantedBug(
    name="reorder-at-second-reconnect",
    summary="After the second reconnect of an edge, batches that come together change places.",
    category=Category.ORDER,
    replaces="the core's taking of batches",
    named_by=("B2",),
    trial=Trial(scenario="resets"),
    patches=(Patch(owner=CoreMachine, name="_append", replacement=append_in_pairs),),
)
