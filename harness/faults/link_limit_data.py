"""Connections of a link break after so many bytes, often in the middle of a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.link import Link
from harness.links.probe import BURST_BYTES_MAX, Probe, closing

ANSWERED_WITHIN_S = 10.0
"""Deadline for what a probe sends before the fault to be answered."""

ENDS_WITHIN_S = 5.0
"""Deadline for a probe that sends more than the limit to be closed."""

MARGIN = 2
"""A probe sends so many times the limit."""

PROBES = 2
"""So many in a row have to be closed, since one may be cut by something else."""

OPEN_S = 0.1
"""How long the second one is watched before it sends: what cuts a link cuts both at once."""

GREETING_BYTES_MAX = 4_096
"""Most bytes that greeting a server takes; below such a limit no new connection comes about."""

_NAME = "fault-limit"


@fault("link_limit_data")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimitData:
    """Close each connection of a link once it has carried so many bytes.

    Bytes count from the injection, for each connection and direction by itself; a new connection
    begins at 0.

    Observed: how much of a burst beyond the limit is answered before; that the same burst closes
    two probes, one after the other; and the most bytes of their replies. The connections that it
    closed can be seen in the history, as reconnects.

    Attributes:
        limit_bytes: Bytes after which a connection is closed.
        direction: "upstream", "downstream" or "both": the direction in which bytes count.
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    limit_bytes: int = 65_536
    direction: str = BOTH
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        ways(self.direction)
        at_least(1, limit_bytes=self.limit_bytes)
        # More could not be shown by a probe that is no load itself.
        at_most(BURST_BYTES_MAX // MARGIN, limit_bytes=self.limit_bytes)

    async def inject(self, target: Target) -> Effect:
        """Set the limit; observe that probes beyond it are closed and what came until then."""
        link = as_link(target)
        async with closing(await link.open_probe()) as first:
            effect: Effect = {}
            if first is not None and first.can_ping:
                burst = await first.burst(self._burst_bytes, within_s=ANSWERED_WITHIN_S)
                effect["before_bytes"] = burst.read_bytes
            # Not earlier than it has to be: a node gives up a connection that is silent for long.
            # Logging in may take more bytes than a limit allows.
            early = bool(effect) and (link.logs_in or self.limit_bytes < GREETING_BYTES_MAX)
            async with closing(await link.open_probe() if early else None) as second:
                await link.impose(
                    _NAME, "limit_data", {"bytes": self.limit_bytes}, ways(self.direction)
                )
                if first is not None and effect:
                    effect |= await self._exceed(link, first, second)
        return effect

    @property
    def _burst_bytes(self) -> int:
        return MARGIN * self.limit_bytes

    async def _exceed(self, link: Link, first: Probe, second: Probe | None) -> Effect:
        burst = await first.burst(self._burst_bytes, within_s=ENDS_WITHIN_S)
        effect: Effect = {
            "closed": float(burst.ended),
            "sent_bytes": burst.sent_bytes,
            "replied_bytes": burst.read_bytes,
        }
        if not burst.ended:
            return effect
        async with closing(second or await link.open_probe()) as other:
            if other is not None and not (await other.collect(math.inf, within_s=OPEN_S))[1]:
                burst = await other.burst(self._burst_bytes, within_s=ENDS_WITHIN_S)
                effect["closed"] += burst.ended
                effect["replied_bytes"] = max(effect["replied_bytes"], burst.read_bytes)
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """What was answered whole before closed each probe, with no more than the limit."""
        if effect.get("closed", 0) != PROBES:
            return False
        answered = effect.get("before_bytes", -1) >= effect["sent_bytes"]
        return answered and effect["replied_bytes"] <= self.limit_bytes

    async def heal(self, target: Target) -> Effect:
        """Let connections carry what they like; those that it closed stay closed."""
        await as_link(target).lift(_NAME)
        return {}
