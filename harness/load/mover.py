"""When somebody who goes back and forth between edges moves, and where to. Pure."""

from __future__ import annotations


class Mover:
    """Goes from one edge to the next at even times.

    Args:
        between: The edges, in turn; none: it never moves.
        every_s: Seconds from one move to the next.
    """

    __slots__ = ("_at_ns", "_between", "_every_ns")

    def __init__(self, between: tuple[str, ...], every_s: float) -> None:
        self._between = between
        self._every_ns = int(every_s * 1e9)
        self._at_ns = -1

    def is_due(self, now_ns: int, *, up: bool) -> bool:
        """Return whether it moves now; one that is down moves as soon as it is up again."""
        if not self._between:
            return False
        if self._at_ns < 0:
            self._at_ns = now_ns + self._every_ns
        if not up or now_ns < self._at_ns:
            return False
        self._at_ns = now_ns + self._every_ns
        return True

    def next_edge(self, edge: str) -> str | None:
        """Return where it goes from an edge; None if it does not move."""
        if not self._between:
            return None
        at = self._between.index(edge) if edge in self._between else -1
        return self._between[(at + 1) % len(self._between)]
