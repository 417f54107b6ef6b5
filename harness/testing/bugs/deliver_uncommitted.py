"""Messages are delivered when their commit begins, not when it is durable."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Medium, Patch, PlantedBug, Trial
from reference.core.delivery import Deliverer, TailCache
from reference.core.machine import CoreMachine
from reference.core.sequencing import Inbox
from reference.events import Append, Commit, Effect

_drain = CoreMachine._drain
_find = TailCache.find
_durable_end = Inbox.pos_end
_EARLY: dict[str, Append] = {}
"""What is being committed, by inbox: one append each is enough to show the bug."""


def find_early(self: TailCache, inbox: str, pos: int) -> Append | None:
    """Find what is being committed too."""
    early = _EARLY.get(inbox)
    if early is not None and early.pos_first <= pos < early.pos_first + early.count:
        return early
    return _find(self, inbox, pos)


def early_end(self: Inbox) -> int:
    """Take what is being committed for durable."""
    durable: int = _durable_end.__get__(self)
    early = _EARLY.get(self.name)
    return durable if early is None else max(durable, early.pos_first + early.count)


def drain_early(self: CoreMachine) -> list[Effect]:
    """Deliver what a commit holds as soon as the store was asked for it."""
    effects = _drain(self)
    begun = [effect for effect in effects if isinstance(effect, Commit)]
    for commit in begun:
        for append in commit.writes.appends:
            _EARLY[append.inbox] = append
            _pump(self._deliverer, append.inbox)
    return effects + _drain(self) if begun else effects


def _pump(deliverer: Deliverer, inbox: str) -> None:
    session = deliverer.active.get(inbox)
    if session is not None:
        deliverer.pump(session)


BUG = PlantedBug(
    name="deliver-uncommitted",
    summary="A message is delivered before it is durable, and gone or moved after a crash.",
    category=Category.ORDER,
    replaces="what the core takes for durable when it delivers",
    named_by=("A6", "A13", "A7"),
    trial=Trial(scenario="power_loss", settings={"sync_ms": "150"}),
    medium=Medium.POWER_LOSS,
    patches=(
        Patch(owner=CoreMachine, name="_drain", replacement=drain_early),
        Patch(owner=TailCache, name="find", replacement=find_early),
        Patch(owner=Inbox, name="pos_end", replacement=property(early_end)),
    ),
)
