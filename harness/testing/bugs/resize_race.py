"""What waits for its commit while an inbox is resized is written into both epochs."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer, _Builder
from reference.wire import messages as m

_promote = Sequencer.promote


def promote_and_copy(self: Sequencer, link: Link, promote: m.Promote) -> m.Error | None:
    """Begin the epoch, and append what was just gathered in the old one again."""
    old = self._gathering.last_builder.get(promote.inbox)
    epochs = len(self.inboxes[promote.inbox].epochs) if promote.inbox in self.inboxes else 1
    error = _promote(self, link, promote)
    if error is None and old is not None:
        inbox = self.inboxes[promote.inbox]
        if len(inbox.epochs) > epochs:
            copy = _Builder(inbox.name, inbox.pos_next, inbox.epochs[-1])
            append = old.build()
            at = body_at = 0
            for run in append.runs:
                lengths = append.lengths[4 * at : 4 * (at + run.count)]
                size = sum(memoryview(lengths).cast("I"))
                copy.add(run.producer, run.n_first, lengths, append.body[body_at : body_at + size])
                at, body_at = at + run.count, body_at + size
            inbox.pos_next += copy.count
            self._gathering.builders.append(copy)
            self._gathering.last_builder[inbox.name] = copy
    return error


BUG = PlantedBug(
    name="resize-race",
    summary="Messages under way during a resize are stored in the old and in the new epoch.",
    category=Category.EPOCH,
    replaces="the sequencer's promote",
    named_by=("C6", "C2"),
    trial=Trial(scenario="resize"),
    patches=(Patch(owner=Sequencer, name="promote", replacement=promote_and_copy),),
)
