"""A link becomes narrow for a time: each connection carries so many bytes per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.probe import closing

RATE_STEP_BYTES_PER_S = 1_000
"""Toxiproxy counts in such steps."""

PROBE_S = 0.25
"""A probe transfers about what the limit lets through in this time."""

PROBE_BYTES_MAX = 48 * 1024
"""Most that a probe transfers, so that measuring is no load on a node."""

PROBE_WITHIN_S = 5.0
"""Deadline of one transfer."""

OVER_LIMIT_MAX = 1.25
"""How much faster than the limit a short transfer may look, since its first chunk is let in."""

_NAME = "fault-bandwidth"


@fault("link_bandwidth")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBandwidth:
    """Limit the bytes per second of every connection of a link (each by itself, not their sum).

    Observed: bytes per second of a probe's transfer there and back, before and under the limit. A
    limit near to what the transfer reaches without it cannot be shown, and counts as no effect.

    Attributes:
        rate_bytes_per_s: In steps of 1,000.
        direction: "upstream", "downstream" or "both".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    rate_bytes_per_s: int = 64_000
    direction: str = BOTH
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        ways(self.direction)
        at_least(RATE_STEP_BYTES_PER_S, rate_bytes_per_s=self.rate_bytes_per_s)
        if self.rate_bytes_per_s % RATE_STEP_BYTES_PER_S:
            raise UsageError(
                f"rate_bytes_per_s={self.rate_bytes_per_s}: a multiple of {RATE_STEP_BYTES_PER_S}"
            )

    async def inject(self, target: Target) -> Effect:
        """Limit it; observe the speed of a transfer before and after (-1: it did not end)."""
        link = as_link(target)
        size_bytes = min(PROBE_BYTES_MAX, int(self.rate_bytes_per_s * PROBE_S))
        rate = {"rate": self.rate_bytes_per_s // RATE_STEP_BYTES_PER_S}
        effect: Effect = {}
        async with closing(await link.open_probe()) as probe:
            measures = probe is not None and probe.can_ping
            if probe is not None and measures:
                burst = await probe.burst(size_bytes, within_s=PROBE_WITHIN_S)
                effect["before_bytes_per_s"] = burst.bytes_per_s if burst.complete else -1
            await link.impose(_NAME, "bandwidth", rate, ways(self.direction))
            if probe is not None and measures:
                burst = await probe.burst(size_bytes, within_s=PROBE_WITHIN_S)
                effect["after_bytes_per_s"] = burst.bytes_per_s if burst.complete else -1
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A transfer became slower than the limit and was clearly faster before."""
        before = effect.get("before_bytes_per_s", -1)
        after = effect.get("after_bytes_per_s", -1)
        limit = OVER_LIMIT_MAX * self.rate_bytes_per_s
        return 0 < after <= limit and before > limit

    async def heal(self, target: Target) -> Effect:
        """Remove the limit; what it held is passed on."""
        await as_link(target).lift(_NAME)
        return {}
