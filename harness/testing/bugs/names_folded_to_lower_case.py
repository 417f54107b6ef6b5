"""The core looks inboxes up by their names in lower case, but only where it stores."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Inbox, Sequencer
from reference.wire import messages as m

_build = Sequencer._build


def build_in_lower_case(
    self: Sequencer, inbox: Inbox, segment: m.Segment, start: int, stop: int
) -> None:
    """Append to the inbox whose name is written small."""
    _build(self, self._dirty(inbox.name.lower()), segment, start, stop)


BUG = PlantedBug(
    name="names-folded-to-lower-case",
    summary="What is sent to VIP is stored in the inbox vip.",
    category=Category.LOSS,
    replaces="the sequencer's building of appends",
    named_by=("A1", "A3", "A6"),
    trial=Trial(scenario="names"),
    patches=(Patch(owner=Sequencer, name="_build", replacement=build_in_lower_case),),
)
