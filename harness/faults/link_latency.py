"""A link becomes slower, in one direction or both, for a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.link import Link

SHOWN_MS_MIN = 10
"""Least that is added whatever the jitter draws: a busy machine is late by less without a fault."""

EFFECT_SHARE_MIN = 0.8
"""Share of the added round trip that a probe must see; the rest is granted to timers."""

PROBES_BEFORE = 3
"""Round trips measured on a link before it is made slower."""

PROBES_BEFORE_MAX = 10
"""That many where a busy server answers so late that what is added would not stand out."""

_NAME = "fault-latency"


@fault("link_latency")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLatency:
    """Delay what goes over a link, beside its latency at rest.

    Beyond 1,024 chunks on the way in one direction Toxiproxy lets a connection wait, so this bounds
    throughput too.

    Observed: the round trip of a greeting on a fresh connection, before (the quickest of
    some, since a busy server answers late now and then) and after.

    Attributes:
        latency_ms: Added to each direction that is named.
        jitter_ms: How much each chunk's delay varies at random, not from the seed; smaller than
            the latency by 10 ms or more, or no probe could tell it from a busy machine.
        direction: "upstream", "downstream" or "both".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    latency_ms: int = 100
    jitter_ms: int = 0
    direction: str = BOTH
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        ways(self.direction)
        at_least(0, jitter_ms=self.jitter_ms)
        at_least(SHOWN_MS_MIN + self.jitter_ms, latency_ms=self.latency_ms)

    async def inject(self, target: Target) -> Effect:
        """Add it; observe the round trip of a probe before and after (-1: no probe came back)."""
        link = as_link(target)
        before_ms = await self._quickest_ms(link) if link.can_probe else None
        attributes = {"latency": self.latency_ms, "jitter": self.jitter_ms}
        await link.impose(_NAME, "latency", attributes, ways(self.direction))
        effect = {"added_rtt_min_ms": self._added_rtt_min_ms}
        if before_ms is not None:
            after_ms = await link.round_trip_ms()
            effect["rtt_before_ms"] = before_ms
            effect["rtt_after_ms"] = -1 if after_ms is None else after_ms
        return effect

    @property
    def _added_rtt_min_ms(self) -> float:
        return len(ways(self.direction)) * (self.latency_ms - self.jitter_ms)

    async def _quickest_ms(self, link: Link) -> float | None:
        """Return the shortest of some round trips; None when no probe came back at first."""
        quickest_ms: float | None = None
        for probe in range(PROBES_BEFORE_MAX):
            quick = quickest_ms is not None and quickest_ms <= self._added_rtt_min_ms / 2
            if quick and probe >= PROBES_BEFORE:
                break
            trip_ms = await link.round_trip_ms()
            if trip_ms is None:
                # Each attempt waits for the server to be back.
                break
            quickest_ms = trip_ms if quickest_ms is None else min(trip_ms, quickest_ms)
        return quickest_ms

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A probe took longer by nearly what was added; never so on a link without a probe."""
        before_ms = effect.get("rtt_before_ms", -1)
        after_ms = effect.get("rtt_after_ms", -1)
        if before_ms < 0 or after_ms < 0:
            return False
        return after_ms - before_ms >= EFFECT_SHARE_MIN * effect["added_rtt_min_ms"]

    async def heal(self, target: Target) -> Effect:
        """Remove it."""
        await as_link(target).lift(_NAME)
        return {}
