"""A sender that comes back is told of fewer inboxes than it named; its next login heals that."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.machine import CoreMachine
from reference.wire import messages as m

_durable_counts = CoreMachine._durable_counts


def count_too_few(self: CoreMachine, login: m.Login) -> tuple[int, ...]:
    """Leave the last inbox out, once per producer."""
    counts = _durable_counts(self, login)
    told: set[int] = self.__dict__.setdefault("planted_told", set())
    if login.producer < 0 or not counts or login.producer in told:
        return counts
    told.add(login.producer)
    return counts[:-1]


BUG = PlantedBug(
    name="login-answers-too-little",
    summary="A sender that comes back is told of fewer inboxes than it named; a login heals it.",
    category=Category.CURSOR,
    replaces="the core's answer to a sender's login",
    named_by=("A17",),
    trial=Trial(scenario="churn"),
    patches=(Patch(owner=CoreMachine, name="_durable_counts", replacement=count_too_few),),
)
