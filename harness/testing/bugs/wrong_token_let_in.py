"""An edge lets clients in whatever token they show."""

from __future__ import annotations

import msgspec

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.clients import ClientLine
from reference.edge.machine import EdgeMachine
from reference.wire import messages as m

_greet = EdgeMachine._greet


def greet_anybody(self: EdgeMachine, line: ClientLine, message: m.Message, now_ns: int) -> None:
    """Take every client's token for the right one."""
    if isinstance(message, m.Hello) and message.role == "client":
        message = msgspec.structs.replace(message, token=self._settings.token)
    _greet(self, line, message, now_ns)


BUG = PlantedBug(
    name="wrong-token-let-in",
    summary="A client with a wrong token is let in, and acknowledges what is not its own.",
    category=Category.CURSOR,
    place=Place.EDGE,
    replaces="the edge's greeting",
    named_by=("A12", "A1"),
    trial=Trial(scenario="intruded"),
    patches=(Patch(owner=EdgeMachine, name="_greet", replacement=greet_anybody),),
)
