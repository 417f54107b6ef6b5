"""A session begins with the last message that the receiver has."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.core.sequencing import LoginWait

_logged_in = CoreMachine._logged_in


def logged_in_too_early(self: CoreMachine, wait: LoginWait) -> None:
    """Open the session one position beside the place that the login names."""
    login = wait.login
    if login.from_pos >= 0:
        wait = replace(wait, login=msgspec.structs.replace(login, from_pos=login.from_pos - 1))
    _logged_in(self, wait)


BUG = PlantedBug(
    name="resume-one-too-early",
    summary="A session begins with a message that its receiver has already.",
    category=Category.CURSOR,
    replaces="the core's opening of sessions",
    named_by=("A9", "A13"),
    trial=Trial(scenario="offline"),
    patches=(Patch(owner=CoreMachine, name="_logged_in", replacement=logged_in_too_early),),
)
