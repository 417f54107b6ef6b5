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
from harness.links.probe import closing

PROBE_SLICES = 16
"""A probe sends about as many bytes as make so many pieces."""

PROBE_WITHIN_S = 5.0
"""Deadline of one transfer."""

PIECES_SHARE_MIN = 0.25
"""Share of those pieces that must be told apart; what arrives together is read together."""

_NAME = "fault-slicer"


@fault("link_slicer")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSlicer:
    """Cut the stream of every connection into small pieces with a pause behind each.

    No connection is faster than size_avg_bytes per delay_ms then. The sizes are drawn by Toxiproxy,
    not from the seed.

    Observed: the number of reads in which the reply to one burst of pings arrives, before and
    after. With the direction "upstream" these are the server's replies to each piece by itself.

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
        size_bytes = PROBE_SLICES * self.size_avg_bytes
        effect: Effect = {}
        async with closing(await link.open_probe()) as probe:
            measures = probe is not None and probe.can_ping
            if probe is not None and measures:
                burst = await probe.burst(size_bytes, within_s=PROBE_WITHIN_S)
                effect["pieces_before"] = burst.pieces if burst.complete else -1
            await link.impose(_NAME, "slicer", attributes, ways(self.direction))
            if probe is not None and measures:
                burst = await probe.burst(size_bytes, within_s=PROBE_WITHIN_S)
                effect["pieces_after"] = burst.pieces if burst.complete else -1
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A reply came in many pieces, and in clearly fewer before."""
        before = effect.get("pieces_before", -1)
        after = effect.get("pieces_after", -1)
        return before > 0 and after >= max(2 * before, PIECES_SHARE_MIN * PROBE_SLICES)

    async def heal(self, target: Target) -> Effect:
        """Let the stream be."""
        await as_link(target).lift(_NAME)
        return {}
