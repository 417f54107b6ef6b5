"""Of a batch the core stores what fits 256 KiB, and acknowledges all of it."""

from __future__ import annotations

import numpy as np

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Inbox, Sequencer
from reference.wire import messages as m

BUFFER_BYTES = 256 * 1024

_build = Sequencer._build


def build_what_fits(
    self: Sequencer, inbox: Inbox, segment: m.Segment, start: int, stop: int
) -> None:
    """Build no more than fits the buffer; one message always does."""
    ends = np.cumsum(np.frombuffer(segment.lengths, dtype="<u4"), dtype=np.int64)
    fitting = int(np.searchsorted(ends, BUFFER_BYTES, side="right"))
    _build(self, inbox, segment, start, min(stop, max(fitting, start + 1)))


BUG = PlantedBug(
    name="batch-cut-at-256-kib",
    summary="Of a batch over 256 KiB the last messages are acknowledged and not stored.",
    category=Category.LOSS,
    replaces="the sequencer's building of appends",
    named_by=("A1", "A6"),
    trial=Trial(
        scenario="bulk",
        settings={"size_bytes_min": "4000", "size_bytes_max": "4000", "batch_count": "100"},
    ),
    patches=(Patch(owner=Sequencer, name="_build", replacement=build_what_fits),),
)
