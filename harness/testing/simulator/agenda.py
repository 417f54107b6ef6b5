"""Virtual time: what happens when, one thing after the other."""

from __future__ import annotations

import heapq
from collections.abc import Callable

MS_NS = 1_000_000


class Agenda:
    """A heap of calls by time. No two calls run at the same nanosecond, so times order them."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Run `call` in `delay_ns`; calls for the same time run in the order given."""
        self._count += 1
        heapq.heappush(self._heap, (self.now_ns + max(delay_ns, 0), self._count, call))

    def run(self, until: Callable[[], bool], limit_ns: int) -> bool:
        """Run calls until the condition holds (True), or `limit_ns` of time is over (False)."""
        end_ns = self.now_ns + limit_ns
        while not until():
            if not self._heap or self._heap[0][0] > end_ns:
                self.now_ns = max(self.now_ns, end_ns)
                return False
            at_ns, _, call = heapq.heappop(self._heap)
            self.now_ns = max(self.now_ns + 1, at_ns)
            call()
        return True
