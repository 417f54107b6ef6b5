"""A batch of more messages than an append holds is stored up to the first append's end."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Inbox, Sequencer
from reference.core.settings import APPEND_COUNT_MAX
from reference.wire import messages as m

_build = Sequencer._build


def build_the_first_append(
    self: Sequencer, inbox: Inbox, segment: m.Segment, start: int, stop: int
) -> None:
    """Forget what comes behind the first append of a batch."""
    if start < APPEND_COUNT_MAX:
        _build(self, inbox, segment, start, stop)


BUG = PlantedBug(
    name="large-batch-stored-in-part",
    summary="Of a batch of more than 32,768 messages only these are stored.",
    category=Category.LOSS,
    replaces="the sequencer's building of appends",
    named_by=("A1", "A6"),
    trial=Trial(
        scenario="bulk",
        settings={
            "count": "40000",
            "batch_count": "40000",
            "producers": "1",
            "size_bytes_min": "8",
            "size_bytes_max": "8",
        },
    ),
    patches=(Patch(owner=Sequencer, name="_build", replacement=build_the_first_append),),
)
