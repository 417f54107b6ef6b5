"""The end of a connection is passed on late: a peer that is gone still looks connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.faults.fault import LINK, Effect, Target
from harness.faults.fields import at_least, at_most
from harness.faults.registry import fault
from harness.faults.targets import as_link
from harness.links.directions import BOTH, ways
from harness.links.link import Link

EFFECT_SHARE_MIN = 0.8
"""Share of the delay that a probe must see; the rest is granted to timers."""

CLOSE_WITHIN_S = 3.0
"""Deadline for a close to come back beside the delay."""

PROBES_BEFORE = 3
"""Closes that are measured before the fault, of which the quickest counts."""

DELAY_MS_MAX = 20_000

_NAME = "fault-slow-close"


@fault("link_slow_close")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSlowClose:
    """Delay the end of every connection of a link.

    What came before the end is passed on at once.

    Observed: how long it takes from a probe's half-close until the other end is seen closed, before
    and after; the delay counts once for each direction that is named.

    Attributes:
        delay_ms: How much later the end of a connection is passed on.
        direction: "upstream" (the client's end reaches the server late), "downstream" or "both".
        duration_s: How long it holds.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str] = LINK

    delay_ms: int = 500
    direction: str = BOTH
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        ways(self.direction)
        at_least(1, delay_ms=self.delay_ms)
        at_most(DELAY_MS_MAX, delay_ms=self.delay_ms)

    async def inject(self, target: Target) -> Effect:
        """Delay ends; observe how long a close takes before and after (-1: it never came)."""
        link = as_link(target)
        ways_ms = self.delay_ms * len(ways(self.direction))
        effect: Effect = {"added_close_ms": ways_ms}
        # A busy server answers late now and then; the quickest says what the way takes.
        for _ in range(PROBES_BEFORE):
            took_ms = await _close_ms(link, within_s=CLOSE_WITHIN_S)
            if took_ms is None:
                break
            effect["close_before_ms"] = min(took_ms, effect.get("close_before_ms", took_ms))
        await link.impose(_NAME, "slow_close", {"delay": self.delay_ms}, ways(self.direction))
        if "close_before_ms" in effect:
            took_ms = await _close_ms(link, within_s=CLOSE_WITHIN_S + ways_ms / 1000)
            effect["close_after_ms"] = -1 if took_ms is None else took_ms
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """A close took longer by nearly the delay; never so on a link without a probe."""
        before_ms = effect.get("close_before_ms", -1)
        after_ms = effect.get("close_after_ms", -1)
        if before_ms < 0 or after_ms < 0:
            return False
        return after_ms - before_ms >= EFFECT_SHARE_MIN * effect["added_close_ms"]

    async def heal(self, target: Target) -> Effect:
        """Pass ends on at once again."""
        await as_link(target).lift(_NAME)
        return {}


async def _close_ms(link: Link, *, within_s: float) -> float | None:
    """Return how long a fresh probe's half-close took to be answered; None if it was not."""
    probe = await link.open_probe()
    if probe is None:
        return None
    took_ms = await probe.half_close_ms(within_s=within_s)
    await probe.close()
    return took_ms
