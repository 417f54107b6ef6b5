"""Who moves to another edge is still shown at the first one."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import presence
from reference.core.delivery import Deliverer
from reference.wire import messages as m

_entry = presence.entry


def entry_from_memory(deliverer: Deliverer, user: str) -> m.PresenceEntry:
    """Return what is believed of a user, at the edge where it was seen first."""
    met: dict[str, str] = deliverer.__dict__.setdefault("planted_edges", {})
    real = _entry(deliverer, user)
    if not real.online:
        return real
    return m.PresenceEntry(user, True, met.setdefault(user, real.edge), real.session)


BUG = PlantedBug(
    name="presence-names-the-first-edge",
    summary="A user who has moved is shown at the edge where it was seen first.",
    category=Category.PRESENCE,
    replaces="the core's look at presence",
    named_by=("D6",),
    trial=Trial(scenario="moves"),
    patches=(Patch(owner=presence, name="entry", replacement=entry_from_memory),),
)
