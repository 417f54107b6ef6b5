"""A logout ends whatever session the user has, also one that was opened since."""

from __future__ import annotations

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.machine import CoreMachine
from reference.wire import messages as m

_logout = CoreMachine._logout


def log_the_user_out(self: CoreMachine, link: Link, logout: m.Logout) -> None:
    """End the user's session, whatever its number."""
    session = self._deliverer.active.get(logout.inbox)
    if session is not None:
        logout = msgspec.structs.replace(logout, session=session.number)
    _logout(self, link, logout)


BUG = PlantedBug(
    name="late-logout-ends-another",
    summary="The logout of a far edge comes late and ends the session at a near one.",
    category=Category.PRESENCE,
    replaces="the core's logout",
    named_by=("D6",),
    trial=Trial(scenario="moves"),
    patches=(Patch(owner=CoreMachine, name="_logout", replacement=log_the_user_out),),
)
