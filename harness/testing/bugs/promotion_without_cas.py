"""A promotion is carried out whatever epoch is in force: a repeated one undoes a later one."""

from __future__ import annotations

from harness.testing.bugs.registry import PlantedBug, Shown
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import EpochMark, Recovered
from reference.wire.messages import EpochEntry, Error, Promote, Promoted


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that begins the epoch behind the expected one without looking."""
    core = CoreMachine(settings, recovered)
    sequencer = core._sequencer
    promote = sequencer.promote

    def promote_blindly(link: Link, wish: Promote) -> Error | None:
        inbox = sequencer.inboxes.get(wish.inbox)
        if inbox is None or inbox.epochs[-1].epoch == wish.expected_epoch:
            return promote(link, wish)
        inbox = sequencer._dirty(wish.inbox)
        begun = EpochEntry(wish.expected_epoch + 1, wish.bucket_count, inbox.pos_next)
        inbox.epochs.append(begun)
        sequencer._gathering.epochs.append(
            EpochMark(
                inbox=inbox.name,
                epoch=begun.epoch,
                bucket_count=begun.bucket_count,
                pos_first=begun.pos_first,
            )
        )
        sequencer._gathering.replies.append(
            (
                link,
                Promoted(
                    wish.request, inbox.name, begun.epoch, begun.bucket_count, begun.pos_first
                ),
            )
        )
        return None

    sequencer.promote = promote_blindly  # type: ignore[method-assign, assignment]
    return core


BUG = PlantedBug(
    name="promotion-without-cas",
    summary="A repeated promotion undoes a later one.",
    replaces="the sequencer's promote",
    named_by=("C4", "C5"),
    shown_in=frozenset({Shown.SIMULATOR}),
    seeds=300,
    core=make_core,
)
