"""Waits of many messages as a distribution that stays small."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from harness.checkers.intervals import Column, column
from harness.report.result import Latency

ENTRIES_MAX = 400_000
"""Up to so many different waits quantiles are exact."""

PRECISION_BITS = 11
"""Beyond that waits keep so many leading bits: they are at most 0.05 % too low."""


class Spread:
    """How often each wait occurred, per group (an inbox)."""

    def __init__(self) -> None:
        self._group = self._wait = self._count = column([])
        self._largest: dict[int, int] = {}
        self._waiting: dict[int, int] = {}

    def add(self, group: Column, wait_ns: Column, count: Column, *, waiting: bool = False) -> None:
        """Add waits that count so many messages each; `waiting`: they have not ended."""
        self._group = np.concatenate((self._group, group))
        self._wait = np.concatenate((self._wait, wait_ns))
        self._count = np.concatenate((self._count, count))
        for one in np.unique(group).tolist():
            largest = int(wait_ns[group == one].max())
            self._largest[one] = max(largest, self._largest.get(one, largest))
            if waiting:
                more = int(count[group == one].sum())
                self._waiting[one] = self._waiting.get(one, 0) + more
        if len(self._wait) > ENTRIES_MAX:
            self._shrink()

    def _shrink(self) -> None:
        _, exponent = np.frexp(np.maximum(self._wait, 1).astype(np.float64))
        drop = np.maximum(exponent.astype(np.int64) - PRECISION_BITS, 0)
        wait = self._wait >> drop << drop
        order = np.lexsort((wait, self._group))
        group, wait, count = self._group[order], wait[order], self._count[order]
        fresh = np.ones(len(wait), dtype=np.bool_)
        fresh[1:] = (group[1:] != group[:-1]) | (wait[1:] != wait[:-1])
        begin = np.flatnonzero(fresh)
        self._group, self._wait = group[begin], wait[begin]
        self._count = np.add.reduceat(count, begin)

    def latency(self, groups: Collection[int] | None = None) -> Latency | None:
        """Return quantiles over messages in ms, of these groups only; None without any."""
        wait, count, group = self._wait, self._count, self._group
        largest = [ns for one, ns in self._largest.items() if groups is None or one in groups]
        if groups is not None:
            mine = np.isin(group, column(sorted(groups)))
            wait, count = wait[mine], count[mine]
        if not len(wait):
            return None
        order = np.argsort(wait, kind="stable")
        wait = wait[order]
        reach = np.cumsum(count[order])
        total = int(reach[-1])

        def at(share: float) -> float:
            place = int(np.searchsorted(reach, share * total, side="left"))
            return round(float(wait[min(place, len(wait) - 1)]) / 1e6, 6)

        return Latency(
            p50=at(0.5),
            p90=at(0.9),
            p99=at(0.99),
            p999=at(0.999),
            max=round(max(largest) / 1e6, 6),
            count=total,
            waiting=sum(
                number for one, number in self._waiting.items() if groups is None or one in groups
            ),
        )
