"""A link goes down for a time: its connections are closed, new ones refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.faults.waiting import strike_connected
from harness.links.link import Link


@fault("link_cut")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCut:
    """Cut a link.

    Observed: the open connections that were closed, and that an attempt to connect is refused.

    Attributes:
        duration_s: How long it is down.
        wait_s: How long to wait for a connection to be open before cutting anyway.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK
    takes_link: ClassVar[bool] = True

    duration_s: float = 2.0
    wait_s: float = 2.0

    async def inject(self, target: Target) -> Effect:
        """Take the link down; observe the connections that closed and a refused attempt."""
        link = as_link(target)
        cut = await strike_connected(link, Link.cut, within_s=self.wait_s)
        return {"connections": cut.connections, "refused": float(await link.is_refusing())}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A connection was cut and nobody gets in."""
        return effect["connections"] >= 1 and effect["refused"] == 1

    async def heal(self, target: Target) -> Effect:
        """Open it again."""
        await as_link(target).restore()
        return {}
