"""An acknowledgement names epoch 0, whatever epoch its messages were stored in."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import sequencing
from reference.wire import messages as m

_ok = sequencing._ok


def ok_without_epoch(
    segment: m.Segment, start: int, stop: int, pos_first: int, epoch: int
) -> m.OkRange:
    """Answer with epoch 0 where one is named at all."""
    return _ok(segment, start, stop, pos_first, min(epoch, 0))


BUG = PlantedBug(
    name="epoch-zero-in-acks",
    summary="The epoch in acknowledgements is always 0.",
    category=Category.EPOCH,
    replaces="the sequencer's answer to a batch",
    named_by=("C9",),
    trial=Trial(scenario="offline", settings={"bucket_count": "4"}),
    patches=(Patch(owner=sequencing, name="_ok", replacement=ok_without_epoch),),
)
