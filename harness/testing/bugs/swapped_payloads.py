"""Two messages of a batch are stored under each other's ids."""

from __future__ import annotations

from dataclasses import replace

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.producers import cut
from reference.core.sequencing import Sequencer
from reference.wire import messages as m

_take = Sequencer._take


def take_exchanged(self: Sequencer, link: Link, segment: m.Segment, known: int) -> None:
    """Exchange the bodies of the first two messages of every batch."""
    if segment.count >= 2:
        (first_length, first), (second_length, second) = cut(segment, 0, 1), cut(segment, 1, 2)
        lengths, body = cut(segment, 2, segment.count)
        segment = replace(
            segment,
            lengths=second_length + first_length + lengths,
            body=second + first + body,
        )
    _take(self, link, segment, known)


BUG = PlantedBug(
    name="swapped-payloads",
    summary="Two messages of a batch exchange their contents.",
    category=Category.CONTENT,
    replaces="the sequencer's taking of a batch",
    named_by=("A5",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=Sequencer, name="_take", replacement=take_exchanged),),
)
