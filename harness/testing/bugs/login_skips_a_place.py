"""A login names one position, and delivery begins behind it; the next login is right."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, Session

_open = Deliverer.open


def open_one_too_late(self: Deliverer, session: Session) -> None:
    """Skip a message at the first login of each inbox that resumes before its end."""
    skipped: set[str] = self.__dict__.setdefault("planted_skipped", set())
    inbox = session.inbox
    if inbox.name not in skipped and 0 < session.next_pos < inbox.pos_end:
        skipped.add(inbox.name)
        session.next_pos += 1
    _open(self, session)


BUG = PlantedBug(
    name="login-skips-a-place",
    summary="Delivery begins behind the position that the login named; a new login heals it.",
    category=Category.CURSOR,
    replaces="the core's opening of a session",
    named_by=("A17",),
    trial=Trial(scenario="offline"),
    patches=(Patch(owner=Deliverer, name="open", replacement=open_one_too_late),),
)
