"""A link becomes slower, in one direction or both, for a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.lateness import is_late, quickest_after_ms, quickest_before_ms
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.link import PROBE_WITHIN_S, Link
from harness.links.probe import Probe, closing

SHOWN_MS_MIN = 10
"""Least that is added whatever the jitter draws: a busy machine is late by less without a fault."""

LATENCY_MS_MAX = 10_000
"""Most that is added in one direction, the jitter included: a probe there and back under it, and
the wait for its server, are over before a fault is given up."""

_NAME = "fault-latency"


@fault("link_latency")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLatency:
    """Delay what goes over a link, beside its latency at rest.

    Beyond 1,024 chunks on the way in one direction Toxiproxy lets a connection wait, so this bounds
    throughput too.

    Observed: the round trip of a greeting on a fresh connection, before and after (the quickest
    of some each, since a busy server answers late now and then); where a probe has to log in, of a
    ping on a connection that was open before. A server that hangs up within a second on who is
    silent, and says nothing then, cannot show more than that.

    Attributes:
        latency_ms: Added to each direction that is named; with the jitter at most 10 s.
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
        at_most(LATENCY_MS_MAX - self.jitter_ms, latency_ms=self.latency_ms)

    async def inject(self, target: Target) -> Effect:
        """Add it; observe the round trip of a probe before and after (-1: no probe came back)."""
        link = as_link(target)
        added_ms = self._added_rtt_min_ms
        most_ms = len(ways(self.direction)) * (self.latency_ms + self.jitter_ms)
        effect = {"added_rtt_min_ms": added_ms}
        async with closing(await link.open_probe() if link.logs_in else None) as probe:

            async def before() -> float | None:
                return await _round_trip_ms(link, probe, within_s=PROBE_WITHIN_S)

            async def after() -> float | None:
                within_s = PROBE_WITHIN_S + most_ms / 1000
                return await _round_trip_ms(link, probe, within_s=within_s)

            before_ms: float | None = None
            if link.can_probe:
                before_ms = await quickest_before_ms(before, added_ms)
            attributes = {"latency": self.latency_ms, "jitter": self.jitter_ms}
            await link.impose(_NAME, "latency", attributes, ways(self.direction))
            if before_ms is not None:
                effect["rtt_before_ms"] = before_ms
                effect["rtt_after_ms"] = await quickest_after_ms(after, most_ms)
        return effect

    @property
    def _added_rtt_min_ms(self) -> float:
        return len(ways(self.direction)) * (self.latency_ms - self.jitter_ms)

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Every probe took longer by nearly what was added; never so on a link without one."""
        return is_late(
            effect.get("rtt_before_ms", -1),
            effect.get("rtt_after_ms", -1),
            effect.get("added_rtt_min_ms", math.inf),
        )

    async def heal(self, target: Target) -> Effect:
        """Remove it."""
        await as_link(target).lift(_NAME)
        return {}


async def _round_trip_ms(link: Link, probe: Probe | None, *, within_s: float) -> float | None:
    """Return the round trip of a ping on an open probe, else of a greeting on a fresh one.

    Logging in takes several round trips, and a server gives those little time that are slow at it.
    """
    took_ms = None if probe is None else await probe.ping_ms(within_s=within_s)
    # A fault that cuts the link at the same time cuts an open probe too.
    return await link.round_trip_ms(within_s=within_s) if took_ms is None else took_ms
