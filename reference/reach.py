"""Rare states, counted by name where they occur: what no run reaches was never tried by one.

A machine counts with one line, ``self._reach["core.batch_known"] += 1``. It costs an addition in a
dictionary, and changes nothing else. A node shows its counts among its gauges, a client's are read
by whoever owns it. They begin at 0 with each process, so what an observer has is a lower bound.
What each name means stands in the catalogue of whoever observes (`harness.reach.catalogue`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final, TypeAlias

Reach: TypeAlias = Counter[str]
"""How often each state was reached, by its name."""

GAUGE_PREFIX: Final = "reach."
"""How the gauges are named that show such counts."""


def gauges_of(reach: Reach) -> dict[str, int]:
    """Return the counts as gauges; another thread may count on meanwhile."""
    return {GAUGE_PREFIX + name: count for name, count in dict(reach).items()}
