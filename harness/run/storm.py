"""The storm as a fault: every client that is connected is cut at one moment, and comes back.

It is done by the clients themselves and not to a link or a process, so a phase asks for it
(`harness.scenario.phases.Storm`) and no schedule can; in the journal it stands like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults.fault import Effect, Target
from harness.run.crew import Crew


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """All clients of a run, as a target."""

    crew: Crew
    name: str = "clients"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStorm:
    """Cut all clients.

    Observed: the clients that were connected and whose connections were cut.

    Attributes:
        down_s: How long they stay away.
    """

    kind: ClassVar[str] = "storm"
    aims_at: ClassVar[str] = "clients"

    down_s: float

    @property
    def duration_s(self) -> float:
        """How long they stay away."""
        return self.down_s

    async def inject(self, target: Target) -> Effect:
        """Cut them; observe how many were."""
        if not isinstance(target, Clients):
            raise UsageError(f"{target.name} are no clients")
        replies = await target.crew.everybody("storm", down_s=self.down_s)
        return {"connections": float(sum(reply["cut"] for reply in replies))}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Somebody was cut."""
        return effect["connections"] >= 1

    async def heal(self, target: Target) -> Effect:
        """Do nothing: they come back by themselves."""
        return {}
