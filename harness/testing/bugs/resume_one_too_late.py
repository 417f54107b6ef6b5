"""A session begins with the message behind the first that the receiver lacks."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.core.sequencing import LoginWait

_logged_in = CoreMachine._logged_in


def logged_in_too_late(self: CoreMachine, wait: LoginWait) -> None:
    """Open the session one position beside the place that the login names."""
    login = wait.login
    if login.from_pos >= -1:
        wait = replace(wait, login=msgspec.structs.replace(login, from_pos=login.from_pos + 1))
    _logged_in(self, wait)


BUG = PlantedBug(
    name="resume-one-too-late",
    summary="A session leaves out the first message that its receiver lacks.",
    category=Category.CURSOR,
    replaces="the core's opening of sessions",
    named_by=("A12",),
    trial=Trial(scenario="offline"),
    patches=(Patch(owner=CoreMachine, name="_logged_in", replacement=logged_in_too_late),),
)
