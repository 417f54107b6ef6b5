"""What is due for delivery waits until two seconds are over."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, Session
from reference.core.machine import CoreMachine

EVERY_NS = 2_000_000_000

_pump = Deliverer.pump
_tick = CoreMachine._tick


def pump_later(self: Deliverer, session: Session) -> None:
    """Send a session what it has to be sent for the first time, and nothing more."""
    begun: set[tuple[str, int]] = self.__dict__.setdefault("planted_begun", set())
    which = (session.inbox.name, session.number)
    if which not in begun:
        begun.add(which)
        _pump(self, session)


def tick_and_deliver(self: CoreMachine) -> None:
    """Tick, and every two seconds deliver what has gathered."""
    _tick(self)
    deliverer = self._deliverer
    slot = self._now_ns // EVERY_NS
    if deliverer.__dict__.setdefault("planted_slot", slot) != slot:
        deliverer.__dict__["planted_slot"] = slot
        for session in list(deliverer.active.values()):
            _pump(deliverer, session)


BUG = PlantedBug(
    name="delivery-every-two-seconds",
    summary="Deliveries leave every two seconds only.",
    category=Category.CURSOR,
    replaces="when the core delivers",
    named_by=("D8",),
    trial=Trial(scenario="steady", settings={"duration_s": "5"}),
    patches=(
        Patch(owner=Deliverer, name="pump", replacement=pump_later),
        Patch(owner=CoreMachine, name="_tick", replacement=tick_and_deliver),
    ),
)
