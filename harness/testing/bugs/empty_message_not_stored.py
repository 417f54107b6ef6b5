"""A message without a body is taken for none: it gets a position, and the next one takes it."""

from __future__ import annotations

import numpy as np

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Inbox, Sequencer
from reference.wire import messages as m

_build = Sequencer._build


def build_what_has_a_body(
    self: Sequencer, inbox: Inbox, segment: m.Segment, start: int, stop: int
) -> None:
    """Build the runs of messages between those of 0 bytes."""
    sizes = np.frombuffer(segment.lengths, dtype="<u4")
    for at in range(start, stop + 1):
        if at == stop or not sizes[at]:
            if start < at:
                _build(self, inbox, segment, start, at)
            start = at + 1


BUG = PlantedBug(
    name="empty-message-not-stored",
    summary="A message of 0 bytes is acknowledged and not stored.",
    category=Category.LOSS,
    replaces="the sequencer's building of appends",
    named_by=("A1", "A6"),
    trial=Trial(scenario="bulk", settings={"size_bytes_min": "0", "size_bytes_max": "2"}),
    patches=(Patch(owner=Sequencer, name="_build", replacement=build_what_has_a_body),),
)
