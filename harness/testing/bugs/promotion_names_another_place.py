"""A promotion's answer names a position at which its epoch does not begin."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire import messages as m

OFF_BY = 1_000

_promote = Sequencer.promote


def promote_and_miscount(self: Sequencer, link: Link, promote: m.Promote) -> m.Error | None:
    """Promote as always, and name a position far behind the right one."""
    error = _promote(self, link, promote)
    replies = self._gathering.replies
    if replies and isinstance(replies[-1][1], m.Promoted):
        said = replies[-1][1]
        wrong = m.Promoted(
            said.request, said.inbox, said.epoch, said.bucket_count, said.pos_first + OFF_BY
        )
        replies[-1] = (link, wrong)
    return error


BUG = PlantedBug(
    name="promotion-names-another-place",
    summary="A promotion's answer names a position off by a thousand.",
    category=Category.EPOCH,
    replaces="the sequencer's promote",
    named_by=("C9",),
    trial=Trial(scenario="offline", settings={"bucket_count": "4"}),
    patches=(Patch(owner=Sequencer, name="promote", replacement=promote_and_miscount),),
)
