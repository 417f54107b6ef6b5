"""Connections of a link break after so many bytes, often in the middle of a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.probe import BURST_BYTES_MAX, closing

ENDS_WITHIN_S = 5.0
"""Deadline for a probe that sends more than the limit to be closed."""

MARGIN = 2
"""A probe sends so many times the limit."""

_NAME = "fault-limit"


@fault("link_limit_data")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLimitData:
    """Close each connection of a link once it has carried so many bytes.

    Bytes count from the injection, for each connection and direction by itself; a new connection
    begins at 0.

    Observed: a probe that sends more is closed, and how many bytes of its reply had come. The
    connections that it closed can be seen in the history, as reconnects.

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
        """Set the limit; observe that a probe beyond it is closed and what came until then."""
        link = as_link(target)
        effect: Effect = {}
        async with closing(await link.open_probe()) as probe:
            await link.impose(
                _NAME, "limit_data", {"bytes": self.limit_bytes}, ways(self.direction)
            )
            if probe is not None and probe.can_ping:
                burst = await probe.burst(MARGIN * self.limit_bytes, within_s=ENDS_WITHIN_S)
                effect["closed"] = float(burst.ended)
                effect["sent_bytes"] = burst.sent_bytes
                effect["replied_bytes"] = burst.read_bytes
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A probe was closed before it had more than the limit."""
        return effect.get("closed", 0) == 1 and effect["replied_bytes"] <= self.limit_bytes

    async def heal(self, target: Target) -> Effect:
        """Let connections carry what they like; those that it closed stay closed."""
        await as_link(target).lift(_NAME)
        return {}
