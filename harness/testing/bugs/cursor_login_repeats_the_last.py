"""A login by the cursor begins with the message that the cursor is on."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.core.sequencing import LoginWait

_logged_in = CoreMachine._logged_in


def logged_in_at_the_cursor(self: CoreMachine, wait: LoginWait) -> None:
    """Take the cursor for the first position that is wanted, not for the last that is not."""
    login = wait.login
    cursor = self._sequencer.inboxes[login.inbox].cursor_durable
    if login.from_pos == -2 and cursor >= 0:
        wait = replace(wait, login=msgspec.structs.replace(login, from_pos=cursor - 1))
    _logged_in(self, wait)


BUG = PlantedBug(
    name="cursor-login-repeats-the-last",
    summary="A login by the cursor begins with a message that was acknowledged.",
    category=Category.CURSOR,
    replaces="the core's opening of sessions",
    named_by=("A9", "A13"),
    trial=Trial(scenario="offline", settings={"from_cursor": "true"}),
    patches=(Patch(owner=CoreMachine, name="_logged_in", replacement=logged_in_at_the_cursor),),
)
