"""What goes over a link arrives in small pieces, each a little later than the one before."""

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
from harness.links.probe import Probe, closing
from harness.links.proxies import UPSTREAM

PROBE_SLICES = 16
"""A probe sends about as many bytes as make so many pieces."""

PROBES = 3
"""Measurements before the fault and under it, for a busy machine joins pieces and is late."""

PROBES_LONG_PAUSES = 1
"""Measurements under it where pauses are long: no machine is so late that it joins pieces then."""

LONG_PAUSE_MS = 50.0
"""Pause from which on that holds."""

HEAVY_PAUSES_MS = 1_000.0
"""A big ping takes no more pauses than these: a node gives up who sends nothing whole for long."""

PROBE_WITHIN_S = 5.0
"""Deadline of one transfer beside its pauses."""

PIECES_TIMES_MAX = 4
"""How many times `PROBE_SLICES` there may be: sizes vary, and each way cuts what the other has."""

SIZE_AVG_BYTES_MAX = 8_192
"""Toxiproxy cuts up what it reads at once, 32 KiB at most, and a reply of many larger pieces is
read in nearly as many without it."""

DELAY_MS_MIN = 1.0
"""After a shorter pause pieces are joined again on their way."""

DELAY_MS_MAX = 500.0
"""With a longer pause a transfer would not be over before a fault is given up."""

RATE_BYTES_PER_S_MIN = 1_000
"""A slower connection has no whole ping within the time that a node waits for one."""

PIECES_SHARE_MIN = 0.25
"""Share of those pieces that must be told apart; what arrives together is read together."""

PIECES_SHARE_SURE = 0.75
"""Share of those pieces from which on they prove the slicer, if there was time for its pauses: a
server that answers in a few pieces by itself comes nowhere near, and on a busy machine a transfer
without the slicer may have taken as long."""

PIECES_SHARE_MANY = 0.5
"""Share of those pieces from which on a server that answers in as many by itself hides a slicer."""

PAUSES_SHARE_MIN = 0.5
"""Share of the pauses between the pieces that a transfer must have taken longer; sizes vary, so
there may be fewer pieces."""

LONGER_MS_MIN = 2.0
"""Less cannot be told from the noise of a busy machine."""

_NAME = "fault-slicer"


@fault("link_slicer")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSlicer:
    """Cut the stream of every connection into small pieces with a pause behind each.

    No connection is faster than size_avg_bytes per delay_ms then; that has to be 1,000 bytes per
    second or more. The sizes are drawn by Toxiproxy, not from the seed.

    Observed: on the way down (and on both), the reads in which the reply to one burst of pings
    comes, before and after (the most of some each), and how much longer it takes; on the way up
    alone, how much longer one big ping of many pieces takes (the quickest of some). A server that
    answers pings one by one, such as Kafka, is asked for the same amount in one piece.

    Attributes:
        size_avg_bytes: Mean size of a piece, at most 8 KiB.
        size_variation_bytes: How much the size varies.
        delay_ms: Pause behind each piece, from 1 to 500 ms.
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
        at_most(SIZE_AVG_BYTES_MAX, size_avg_bytes=self.size_avg_bytes)
        at_least(0, size_variation_bytes=self.size_variation_bytes)
        at_least(DELAY_MS_MIN, delay_ms=self.delay_ms)
        at_most(DELAY_MS_MAX, delay_ms=self.delay_ms)
        at_most(self.size_avg_bytes / RATE_BYTES_PER_S_MIN * 1000, delay_ms=self.delay_ms)
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
                effect |= await self._measure(probe, "before", PROBES)
            await link.impose(_NAME, "slicer", attributes, ways(self.direction))
            if probe is not None:
                short = self.delay_ms < LONG_PAUSE_MS
                effect |= await self._measure(
                    probe, "after", PROBES if short else PROBES_LONG_PAUSES
                )
        return effect

    async def _measure(self, probe: Probe, when: str, times: int) -> Effect:
        """Measure some times; nothing is known when one did not end, for the next reads its rest.

        No transfer is quicker than its pauses, so the quickest counts. Pieces can be joined on
        their way, so the most of them count.
        """
        pauses_s = PIECES_TIMES_MAX * PROBE_SLICES * self.delay_ms / 1000
        within_s = PROBE_WITHIN_S + pauses_s
        seen: list[float] = []
        # Pieces that are counted tell more than milliseconds, where they can be seen.
        if self.direction == UPSTREAM and probe.can_ping_heavily:
            for _ in range(times):
                took_ms = await probe.heavy_ms(
                    self._heavy_slices * self.size_avg_bytes, within_s=within_s
                )
                if took_ms is None:
                    return {}
                seen.append(took_ms)
            return {f"{when}_ms": min(seen)}
        if not probe.can_ping:
            return {}
        pieces: list[float] = []
        for _ in range(times):
            size_bytes = PROBE_SLICES * self.size_avg_bytes
            burst = await probe.burst_in_few_pieces(size_bytes, within_s=within_s)
            if not burst.complete:
                return {}
            pieces.append(burst.pieces)
            seen.append(burst.took_ms)
        return {f"pieces_{when}": max(pieces), f"{when}_ms": min(seen)}

    @property
    def _heavy_slices(self) -> int:
        return min(PROBE_SLICES, int(HEAVY_PAUSES_MS / self.delay_ms))

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A reply came in nearly all the pieces with time for its pauses, or in more and longer.

        Where pieces cannot be told apart, a reply or a big ping took the pauses longer; on the way
        up alone that suffices.
        """
        longer_ms = effect.get("after_ms", -1) - effect.get("before_ms", math.inf)
        slices = PROBE_SLICES if "pieces_before" in effect else self._heavy_slices
        pauses_ms = (slices - 1) * self.delay_ms
        longer = longer_ms >= max(LONGER_MS_MIN, PAUSES_SHARE_MIN * pauses_ms)
        if "pieces_before" not in effect:
            return longer
        before, after = effect["pieces_before"], effect.get("pieces_after", -1)
        had_time = effect.get("after_ms", -1) >= PAUSES_SHARE_MIN * pauses_ms
        if had_time and after >= max(2 * before, PIECES_SHARE_SURE * PROBE_SLICES):
            return True
        if self.direction == UPSTREAM or before >= PIECES_SHARE_MANY * PROBE_SLICES:
            # One that needs all of a question, or of an encrypted record, has one answer; and of
            # one that answers in many pieces by itself they tell nothing.
            return longer
        # One that answers in pieces now and then lays no pauses between them.
        return longer and after >= max(2 * before, PIECES_SHARE_MIN * PROBE_SLICES)

    async def heal(self, target: Target) -> Effect:
        """Let the stream be."""
        await as_link(target).lift(_NAME)
        return {}
