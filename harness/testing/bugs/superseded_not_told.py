"""A later login ends a session, and nobody tells the client of the session."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Session
from reference.core.machine import CoreMachine
from reference.wire.errors import ErrorCode

_end = CoreMachine._end


def end_in_silence(self: CoreMachine, session: Session, code: ErrorCode) -> None:
    """End a superseded session without a word."""
    if code is ErrorCode.SUPERSEDED:
        self._deliverer.end(session)
    else:
        _end(self, session, code)


BUG = PlantedBug(
    name="superseded-not-told",
    summary="The client of a superseded session is not told, and waits for messages for ever.",
    category=Category.CURSOR,
    replaces="the core's ending of a session",
    named_by=("A17",),
    trial=Trial(scenario="takeover"),
    patches=(Patch(owner=CoreMachine, name="_end", replacement=end_in_silence),),
)
