"""The users of an edge that died stay online for ever."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import presence
from reference.core.delivery import Deliverer
from reference.core.links import Link


def keep_online(deliverer: Deliverer, link: Link) -> None:
    """Leave the sessions of a lost link as they are."""


BUG = PlantedBug(
    name="presence-stuck-after-edge-death",
    summary="Users stay online after the edge that they were on has died.",
    category=Category.PRESENCE,
    replaces="reference.core.presence.link_lost",
    named_by=("D6",),
    trial=Trial(scenario="presence", settings={"kill_edge": "true"}),
    patches=(Patch(owner=presence, name="link_lost", replacement=keep_online),),
)
