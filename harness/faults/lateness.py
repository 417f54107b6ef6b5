"""What slowing a link down and delaying its ends have in common: something comes late."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

EFFECT_SHARE_MIN = 0.8
"""Share of the added time that must be seen; the rest is granted to timers."""

ENOUGH_MS = 1_000.0
"""No more than this must be seen, whatever was added: a node gives up who is silent for long, the
reference for 1.5 s, and what it says then comes before the rest of what was added is over."""

PROBES = 3
"""Measurements before the fault and under it, of which the quickest counts: a busy machine is late
now and then."""

PROBES_BEFORE_MAX = 10
"""That many before it where the quickest took so long that what is added would not stand out."""

Measure = Callable[[], Awaitable[float | None]]
"""Takes one measurement, in milliseconds; None when nothing came back in time."""


async def quickest_before_ms(measure: Measure, added_ms: float) -> float | None:
    """Return the quickest of some measurements before a fault; None when the first one is."""
    quickest_ms: float | None = None
    for probe in range(PROBES_BEFORE_MAX):
        quick = quickest_ms is not None and quickest_ms <= (1 - EFFECT_SHARE_MIN) * added_ms
        if quick and probe >= PROBES:
            break
        took_ms = await measure()
        if took_ms is None:
            # Each attempt waits for the server to be back.
            break
        quickest_ms = took_ms if quickest_ms is None else min(took_ms, quickest_ms)
    return quickest_ms


async def quickest_after_ms(measure: Measure, most_ms: float) -> float:
    """Return the quickest of some measurements under a fault; -1 when nothing came back.

    The first that takes `ENOUGH_MS` is the last where up to `most_ms` are added: it says all that
    can be seen, and the others would take as long.
    """
    quickest_ms = math.inf
    for _ in range(PROBES):
        took_ms = await measure()
        if took_ms is None:
            return -1
        quickest_ms = min(took_ms, quickest_ms)
        if min(took_ms, most_ms) >= ENOUGH_MS:
            break
    return quickest_ms


def is_late(before_ms: float, after_ms: float, added_ms: float) -> bool:
    """Say whether what was added shows; never if one of the two was not measured (-1)."""
    if before_ms < 0 or after_ms < 0:
        return False
    return after_ms - before_ms >= min(ENOUGH_MS, EFFECT_SHARE_MIN * added_ms)
