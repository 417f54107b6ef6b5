"""Churn: everybody is cut in time, and not all at once."""

from __future__ import annotations

import random
import statistics
from typing import Any

from harness.load.churn import ChurnPlan, churn_receivers

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


class Reader:
    """As much of a receiver as churn sees."""

    def __init__(self) -> None:
        self.up = True
        self.cut_at_ns = 0
        self.connects = 2
        self.from_cursor = False


def by_the_cursor(share: float) -> int:
    plan = ChurnPlan(up_s=1.0, down_s=0.1, from_cursor_share=share)
    readers = [Reader() for _ in range(400)]
    cut: list[object] = []
    actors: Any = readers
    churn_receivers(actors, plan, 1, random.Random(3), lambda actor, _back_ns: cut.append(actor))
    assert len(cut) == len(readers)
    return sum(reader.from_cursor for reader in readers)


def test_so_many_of_those_who_are_cut_come_back_by_the_cursor() -> None:
    assert by_the_cursor(0.0) == 0
    assert 160 < by_the_cursor(0.5) < 240
    assert by_the_cursor(1.0) == 400
