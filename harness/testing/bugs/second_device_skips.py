"""A user's second device begins where the first one is, whatever place it names."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.core.sequencing import LoginWait

_logged_in = CoreMachine._logged_in


def logged_in_where_the_other_is(self: CoreMachine, wait: LoginWait) -> None:
    """Go on behind what the session before was sent, if there is one."""
    login = wait.login
    before = self._deliverer.active.get(login.inbox)
    if before is not None and login.from_pos >= -1:
        wait = replace(wait, login=msgspec.structs.replace(login, from_pos=before.next_pos - 1))
    _logged_in(self, wait)


BUG = PlantedBug(
    name="second-device-skips",
    summary="A second device goes on where the first one is and lacks what that has read.",
    category=Category.CURSOR,
    replaces="the core's opening of sessions",
    named_by=("A12",),
    trial=Trial(scenario="takeover"),
    patches=(
        Patch(owner=CoreMachine, name="_logged_in", replacement=logged_in_where_the_other_is),
    ),
)
