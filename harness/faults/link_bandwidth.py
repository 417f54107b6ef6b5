"""A link becomes narrow for a time: each connection carries so many bytes per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UsageError
from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.probe import Probe, closing
from harness.links.proxies import DOWNSTREAM

RATE_STEP_BYTES_PER_S = 1_000
"""Toxiproxy counts in such steps."""

PROBE_S = 0.25
"""A probe transfers about what the limit lets through in this time."""

PINGS_BYTES_MAX = 48 * 1024
"""Most bytes of pings that are sent to measure, so that measuring is no load on a node."""

HEAVY_BYTES_MAX = 512 * 1024
"""Most bytes of a single ping; it costs a node next to nothing."""

PROBES = 3
"""Measurements before the fault and under it, of which the fastest counts."""

PROBE_WITHIN_S = 5.0
"""Deadline of one transfer."""

OVER_LIMIT_MAX = 1.25
"""How much faster than the limit a short transfer may look, since its first chunk is let in."""

TIMES_FASTER_MIN = 3.0
"""How many times the limit a transfer must reach before: a busy machine slows it down by itself."""

RATE_BYTES_PER_S_MAX = 10_000_000
"""A transfer under a higher limit is over so soon that it cannot be told from a busy machine."""

RATE_DOWN_BYTES_PER_S_MAX = 100_000
"""The same on the way down alone, where the server has to answer every few bytes."""

_NAME = "fault-bandwidth"


@fault("link_bandwidth")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBandwidth:
    """Limit the bytes per second of every connection of a link (each by itself, not their sum).

    Observed: bytes per second of a probe, before and under the limit: of one big ping on the way up
    (and on both), of many small ones and their replies on the way down. A limit near to what the
    probe reaches without it cannot be shown, and counts as no effect; with the small pings, which
    have to do for both ways too where a system has no big one, that is some 100 KB per second on a
    busy machine.

    Attributes:
        rate_bytes_per_s: In steps of 1,000; at most 10 MB per second, downstream alone 100 KB.
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
        down = self.direction == DOWNSTREAM
        most = RATE_DOWN_BYTES_PER_S_MAX if down else RATE_BYTES_PER_S_MAX
        at_most(most, rate_bytes_per_s=self.rate_bytes_per_s)
        if self.rate_bytes_per_s % RATE_STEP_BYTES_PER_S:
            raise UsageError(
                f"rate_bytes_per_s={self.rate_bytes_per_s}: a multiple of {RATE_STEP_BYTES_PER_S}"
            )

    async def inject(self, target: Target) -> Effect:
        """Limit it; observe the speed of a transfer before and after (-1: it did not end)."""
        link = as_link(target)
        rate = {"rate": self.rate_bytes_per_s // RATE_STEP_BYTES_PER_S}
        effect: Effect = {}
        async with closing(await link.open_probe()) as probe:
            if probe is not None:
                effect |= await self._fastest(probe, "before_bytes_per_s")
            await link.impose(_NAME, "bandwidth", rate, ways(self.direction))
            if probe is not None:
                effect |= await self._fastest(probe, "after_bytes_per_s")
        return effect

    async def _fastest(self, probe: Probe, name: str) -> Effect:
        """Measure some times: a busy server is late now and then, and no limit is exceeded ever."""
        fastest: Effect = {}
        for _ in range(PROBES):
            seen = await self._measure(probe, name)
            if seen.get(name, -1) < 0:
                # What is left of it on its way would be taken for the next one's reply.
                return fastest or seen
            fastest[name] = max(seen[name], fastest.get(name, -1))
        return fastest

    async def _measure(self, probe: Probe, name: str) -> Effect:
        wanted_bytes = int(self.rate_bytes_per_s * PROBE_S)
        if self.direction != DOWNSTREAM and probe.can_ping_heavily:
            size_bytes = min(HEAVY_BYTES_MAX, wanted_bytes)
            took_ms = await probe.heavy_ms(size_bytes, within_s=PROBE_WITHIN_S)
            return {name: -1 if took_ms is None else size_bytes / took_ms * 1000}
        if not probe.can_ping:
            return {}
        burst = await probe.burst(min(PINGS_BYTES_MAX, wanted_bytes), within_s=PROBE_WITHIN_S)
        return {name: burst.bytes_per_s if burst.complete else -1}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A transfer became slower than the limit and was clearly faster before."""
        before = effect.get("before_bytes_per_s", -1)
        after = effect.get("after_bytes_per_s", -1)
        slow = 0 < after <= OVER_LIMIT_MAX * self.rate_bytes_per_s
        return slow and before >= TIMES_FASTER_MIN * self.rate_bytes_per_s

    async def heal(self, target: Target) -> Effect:
        """Remove the limit; what it held is passed on."""
        await as_link(target).lift(_NAME)
        return {}
