"""Sessions are numbered by the wall clock."""

from __future__ import annotations

import time

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.links import Link
from reference.core.sequencing import Sequencer
from reference.wire import messages as m
from reference.wire.errors import ErrorCode

_open_session = Sequencer.open_session


def open_by_the_clock(self: Sequencer, link: Link, login: m.Login) -> ErrorCode | None:
    """Give the millisecond as the session's number."""
    inbox = self.inboxes.get(login.inbox)
    if inbox is not None:
        inbox.session = time.time_ns() // 1_000_000 - 1
    return _open_session(self, link, login)


BUG = PlantedBug(
    name="session-numbers-from-the-clock",
    summary="When the wall clock goes back, session numbers go back too.",
    category=Category.CURSOR,
    replaces="the sequencer's session numbers",
    named_by=("A15",),
    trial=Trial(scenario="clock"),
    patches=(Patch(owner=Sequencer, name="open_session", replacement=open_by_the_clock),),
)
