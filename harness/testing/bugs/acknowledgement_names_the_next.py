"""An acknowledgement names the position behind the one at which its batch begins."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import sequencing
from reference.wire import messages as m

_ok = sequencing._ok


def ok_one_off(segment: m.Segment, start: int, stop: int, pos_first: int, epoch: int) -> m.OkRange:
    """Name the position from 1 on, where everybody else counts from 0."""
    return _ok(segment, start, stop, pos_first + 1 if pos_first >= 0 else pos_first, epoch)


BUG = PlantedBug(
    name="acknowledgement-names-the-next",
    summary="An acknowledgement names a position that is off by one.",
    category=Category.ORDER,
    replaces="the sequencer's acknowledgements",
    named_by=("A6",),
    trial=Trial(scenario="steady"),
    patches=(Patch(owner=sequencing, name="_ok", replacement=ok_one_off),),
)
