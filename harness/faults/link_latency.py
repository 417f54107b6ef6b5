"""A link becomes slower in both directions for a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import Effect, Target
from harness.faults.registry import fault
from harness.faults.targets import as_link

EFFECT_SHARE_MIN = 0.8
"""Share of the added round trip that a probe must see; the rest is granted to timers."""


@fault("link_latency")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLatency:
    """Delay what goes over a link, beside its latency at rest.

    Attributes:
        latency_ms: Added to each direction.
        jitter_ms: How much each chunk's delay varies at random, not from the seed.
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = "link"

    latency_ms: int = 100
    jitter_ms: int = 0
    duration_s: float = 2.0

    async def inject(self, target: Target) -> Effect:
        """Add it; observe the round trip of a probe before and after (-1: no probe came back)."""
        link = as_link(target)
        if not link.can_probe:
            await link.add_latency(self.latency_ms, self.jitter_ms)
            return {"added_rtt_min_ms": self._added_rtt_min_ms}
        before_ms = await link.round_trip_ms()
        await link.add_latency(self.latency_ms, self.jitter_ms)
        after_ms = await link.round_trip_ms()
        return {
            "added_rtt_min_ms": self._added_rtt_min_ms,
            "rtt_before_ms": -1 if before_ms is None else before_ms,
            "rtt_after_ms": -1 if after_ms is None else after_ms,
        }

    @property
    def _added_rtt_min_ms(self) -> float:
        return 2 * max(0, self.latency_ms - self.jitter_ms)

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A probe took longer by nearly what was added; never so on a link without a probe."""
        before_ms = effect.get("rtt_before_ms", -1)
        after_ms = effect.get("rtt_after_ms", -1)
        if before_ms < 0 or after_ms < 0:
            return False
        return after_ms - before_ms >= EFFECT_SHARE_MIN * max(1, effect["added_rtt_min_ms"])

    async def heal(self, target: Target) -> Effect:
        """Remove it."""
        await as_link(target).remove_latency()
        return {}
