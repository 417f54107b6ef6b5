"""Churn: everybody is cut in time, and not all at once."""

from __future__ import annotations

import random
import statistics

from harness.load.churn import ChurnPlan

PLAN = ChurnPlan(up_s=4.0, down_s=0.2, up_s_min=0.5)


def cuts_s(*, is_first: bool) -> list[float]:
    rng = random.Random(7)
    return [PLAN.next_cut_ns(10**9, rng, is_first=is_first) / 1e9 - 1 for _ in range(4_000)]


def test_the_first_cut_comes_within_the_mean_for_everybody() -> None:
    first = cuts_s(is_first=True)
    assert min(first) >= 0.5
    assert max(first) <= 4.0
    assert statistics.pstdev(first) > 0.9


def test_later_cuts_keep_the_mean_and_spread_far() -> None:
    later = cuts_s(is_first=False)
    assert min(later) >= 0.5
    assert 3.8 < statistics.fmean(later) < 4.2
    assert max(later) > 15.0
