"""An edge that comes back registers its sessions by what their clients have acknowledged."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.edge.machine import EdgeMachine
from reference.edge.uplink import Uplink

_register = EdgeMachine._register


def register_the_acknowledged(self: EdgeMachine, link: Uplink) -> None:
    """Name the acknowledged position instead of the received one."""
    for session in self._sessions.values():
        session.received_pos = session.acked_pos
    _register(self, link)


BUG = PlantedBug(
    name="resume-names-what-was-acknowledged",
    summary="After a lost core link a client is sent what it has, in the same session.",
    category=Category.DUPLICATE,
    place=Place.EDGE,
    replaces="the edge's registering of its sessions",
    named_by=("A17", "A8"),
    trial=Trial(scenario="resets", settings={"reads": "false"}),
    patches=(Patch(owner=EdgeMachine, name="_register", replacement=register_the_acknowledged),),
)
