"""A logout is confirmed, and the user stays online."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m


def confirm_only(self: CoreMachine, link: Link, logout: m.Logout) -> None:
    """Answer, and leave the session open."""
    if logout.request >= 0:
        link.offer(m.LogoutOk(logout.request))


BUG = PlantedBug(
    name="logout-forgotten",
    summary="A user who has logged out is shown online.",
    category=Category.PRESENCE,
    replaces="the core's logout",
    named_by=("D6",),
    trial=Trial(scenario="presence"),
    patches=(Patch(owner=CoreMachine, name="_logout", replacement=confirm_only),),
)
