"""A promotion is carried out whatever epoch is in force: a repeated one undoes a later one."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Recovered
from reference.wire.messages import Error, Promote


def make_core(settings: CoreSettings, recovered: Recovered) -> CoreMachine:
    """Return a core that begins the next epoch whatever epoch the request expects."""
    core = CoreMachine(settings, recovered)
    sequencer = core._sequencer
    promote = sequencer.promote

    def promote_blindly(link: Link, wish: Promote) -> Error | None:
        inbox = sequencer.inboxes.get(wish.inbox)
        if inbox is not None:
            in_force = inbox.epochs[-1].epoch
            wish = Promote(wish.request, wish.inbox, in_force, wish.bucket_count)
        return promote(link, wish)

    sequencer.promote = promote_blindly  # type: ignore[method-assign, assignment]
    return core


BUG = PlantedBug(
    name="promotion-without-cas",
    summary="A repeated promotion undoes a later one.",
    category=Category.EPOCH,
    replaces="the sequencer's promote",
    named_by=("C7",),
    trial=Trial(scenario="resize", settings={"at_once": "true"}),
    focus=(Action.PROMOTE, Action.PROMOTE_AND_LOSE_ANSWER),
    core=make_core,
)
