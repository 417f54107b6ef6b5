"""The end of a connection is passed on late: a peer that is gone still looks connected."""

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
from harness.links.link import Link

CLOSE_WITHIN_S = 3.0
"""Deadline for a close to come back beside the delay."""

DELAY_MS_MIN = 10
"""Less cannot be told from a busy machine."""

DELAY_MS_MAX = 20_000
"""A probe's close is over before a fault is given up, with the delay in both directions."""

_NAME = "fault-slow-close"


@fault("link_slow_close")
@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSlowClose:
    """Delay the end of every connection of a link.

    What came before the end is passed on at once.

    Observed: how long it takes from a probe's half-close until the other end is seen closed, before
    and after (the quickest of some each); the delay counts once for each direction that is named.
    A server that hangs up within a second on who is silent cannot show more than that upstream.

    Attributes:
        delay_ms: How much later the end of a connection is passed on, from 10 ms to 20 s.
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
        at_least(DELAY_MS_MIN, delay_ms=self.delay_ms)
        at_most(DELAY_MS_MAX, delay_ms=self.delay_ms)

    async def inject(self, target: Target) -> Effect:
        """Delay ends; observe how long a close takes before and after (-1: it never came)."""
        link = as_link(target)
        ways_ms = self.delay_ms * len(ways(self.direction))
        effect: Effect = {"added_close_ms": ways_ms}

        async def before() -> float | None:
            return await _close_ms(link, within_s=CLOSE_WITHIN_S)

        async def after() -> float | None:
            return await _close_ms(link, within_s=CLOSE_WITHIN_S + ways_ms / 1000)

        before_ms = await quickest_before_ms(before, ways_ms)
        await link.impose(_NAME, "slow_close", {"delay": self.delay_ms}, ways(self.direction))
        if before_ms is not None:
            effect["close_before_ms"] = before_ms
            effect["close_after_ms"] = await quickest_after_ms(after, ways_ms)
        return effect

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Every close took longer by nearly the delay; never so on a link without a probe."""
        return is_late(
            effect.get("close_before_ms", -1),
            effect.get("close_after_ms", -1),
            effect.get("added_close_ms", math.inf),
        )

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
