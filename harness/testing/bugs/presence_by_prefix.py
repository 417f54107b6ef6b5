"""A user is taken for online if anybody is whose name begins alike."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import presence
from reference.core.delivery import Deliverer
from reference.wire import messages as m

_entry = presence.entry


def entry_by_prefix(deliverer: Deliverer, user: str) -> m.PresenceEntry:
    """Return what is believed of the first active user whose name begins with the one asked for."""
    found = next((name for name in deliverer.active if name.startswith(user)), user)
    real = _entry(deliverer, found)
    return m.PresenceEntry(user, real.online, real.edge, real.session)


BUG = PlantedBug(
    name="presence-by-prefix",
    summary="The user vip_1 is shown online while vip_10 is.",
    category=Category.PRESENCE,
    replaces="the core's look at presence",
    named_by=("D6",),
    trial=Trial(scenario="names"),
    patches=(Patch(owner=presence, name="entry", replacement=entry_by_prefix),),
)
