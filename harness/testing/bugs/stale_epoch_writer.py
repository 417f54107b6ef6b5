"""Every second producer goes on writing by the bucket count that it found first."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire import messages as m

_take = Sequencer._take


def take_by_an_old_count(self: Sequencer, link: Link, segment: m.Segment, known: int) -> None:
    """Take a batch in the epoch of its producer's first one, for every second producer."""
    met: dict[tuple[int, str], m.EpochEntry | None] = self.__dict__.setdefault("planted_met", {})
    inbox = self._dirty(segment.inbox)
    key = (segment.producer, segment.inbox)
    if key not in met:
        met[key] = inbox.epochs[-1] if len(met) % 2 else None
    stale = met[key]
    if stale is None or stale is inbox.epochs[-1]:
        _take(self, link, segment, known)
        return
    inbox.epochs.append(stale)
    _take(self, link, segment, known)
    inbox.epochs.pop()


BUG = PlantedBug(
    name="stale-epoch-writer",
    summary="After a resize some producers still write into the epoch before it.",
    category=Category.EPOCH,
    replaces="the sequencer's choice of the epoch",
    named_by=("C5", "C4"),
    trial=Trial(scenario="resize"),
    patches=(Patch(owner=Sequencer, name="_take", replacement=take_by_an_old_count),),
)
