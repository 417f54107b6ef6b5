"""What goes over a link arrives in small pieces, each a little later than the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.probe import Probe, closing
from harness.links.proxies import UPSTREAM

PROBE_SLICES = 16
"""A probe sends about as many bytes as make so many pieces."""

PROBES_BEFORE = 3
"""Measurements before the fault, of which the quickest counts."""

PROBE_WITHIN_S = 5.0
"""Deadline of one transfer."""

PIECES_SHARE_MIN = 0.25
"""Share of those pieces that must be told apart; what arrives together is read together."""

PAUSES_SHARE_MIN = 0.5
"""Share of the pauses between the pieces of a big ping that it must have taken longer; sizes vary,
so there may be fewer pieces."""

LONGER_MS_MIN = 2.0
"""Less cannot be told from the noise of a busy machine."""

_NAME = "fault-slicer"


@fault("link_slicer")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSlicer:
    """Cut the stream of every connection into small pieces with a pause behind each.

    No connection is faster than size_avg_bytes per delay_ms then. The sizes are drawn by Toxiproxy,
    not from the seed.

    Observed: on the way down (and on both), the reads in which the reply to one burst of pings
    comes, before and after; on the way up alone, how much longer one big ping of many pieces takes,
    which a busy machine can hide: give it a longer pause.

    Attributes:
        size_avg_bytes: Mean size of a piece.
        size_variation_bytes: How much the size varies.
        delay_ms: Pause behind each piece; without one the kernel joins pieces again.
        direction: "upstream", "downstream" or "both".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    size_avg_bytes: int = 1_024
    size_variation_bytes: int = 512
    delay_ms: float = 1.0
    direction: str = BOTH
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        ways(self.direction)
        at_least(1, size_avg_bytes=self.size_avg_bytes)
        at_least(0, size_variation_bytes=self.size_variation_bytes, delay_ms=self.delay_ms)
        # Toxiproxy panics in its random source when a piece could have no bytes.
        at_least(self.size_variation_bytes + 1, size_avg_bytes=self.size_avg_bytes)

    async def inject(self, target: Target) -> Effect:
        """Cut it up; observe in how many pieces a reply comes before and after (-1: not whole)."""
        link = as_link(target)
        attributes = {
            "average_size": self.size_avg_bytes,
            "size_variation": self.size_variation_bytes,
            "delay": int(self.delay_ms * 1000),
        }
        effect: Effect = {}
        async with closing(await link.open_probe()) as probe:
            if probe is not None:
                # A busy server answers late now and then; the quickest says what the way takes.
                for _ in range(PROBES_BEFORE):
                    seen = await self._measure(probe, "before")
                    effect |= {name: min(seen[name], effect.get(name, seen[name])) for name in seen}
            await link.impose(_NAME, "slicer", attributes, ways(self.direction))
            if probe is not None:
                effect |= await self._measure(probe, "after")
        return effect

    async def _measure(self, probe: Probe, when: str) -> Effect:
        size_bytes = PROBE_SLICES * self.size_avg_bytes
        # Pieces that are counted tell more than milliseconds, where they can be seen.
        if self.direction == UPSTREAM and probe.can_ping_heavily:
            took_ms = await probe.heavy_ms(size_bytes, within_s=PROBE_WITHIN_S)
            return {} if took_ms is None else {f"{when}_ms": took_ms}
        if not probe.can_ping:
            return {}
        burst = await probe.burst(size_bytes, within_s=PROBE_WITHIN_S)
        return {f"pieces_{when}": float(burst.pieces)} if burst.complete else {}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A reply came in clearly more pieces, or a big ping took the pauses longer."""
        if "before_ms" in effect and "after_ms" in effect:
            pauses_ms = (PROBE_SLICES - 1) * self.delay_ms
            longer_ms = effect["after_ms"] - effect["before_ms"]
            return longer_ms >= max(LONGER_MS_MIN, PAUSES_SHARE_MIN * pauses_ms)
        before = effect.get("pieces_before", -1)
        after = effect.get("pieces_after", -1)
        return before > 0 and after >= max(2 * before, PIECES_SHARE_MIN * PROBE_SLICES)

    async def heal(self, target: Target) -> Effect:
        """Let the stream be."""
        await as_link(target).lift(_NAME)
        return {}
