"""What a session has been sent and has not acknowledged, as its receiver counts it itself.

A receiver acknowledges before anybody can know of it, and the system sends before anything comes:
so what waits here is never more than what the system has let out of its window at that moment.
"""

from __future__ import annotations

from collections import deque


class WindowMeter:
    """Counts the bytes of one session: bodies, and 4 for the length of each message.

    Attributes:
        limit_bytes: The window that the system promised; 0 for none, then nothing is counted.
        most_bytes: The most that waited at one moment.
    """

    def __init__(self, limit_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self.most_bytes = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._waiting_bytes = 0

    def delivered(self, pos_last: int, count: int, size_bytes: int) -> bool:
        """Count a delivery; return whether more waits now than ever, and more than is promised.

        A message that is larger than the whole window may come alone.
        """
        if not self.limit_bytes:
            return False
        alone = count == 1 and not self._waiting
        self._waiting.append((pos_last, size_bytes))
        self._waiting_bytes += size_bytes
        if alone:
            self.limit_bytes = max(self.limit_bytes, size_bytes)
        if self._waiting_bytes <= self.most_bytes:
            return False
        self.most_bytes = self._waiting_bytes
        return self.most_bytes > self.limit_bytes

    def acknowledged(self, upto: int) -> None:
        """Give back what lies at or below `upto`."""
        while self._waiting and self._waiting[0][0] <= upto:
            self._waiting_bytes -= self._waiting.popleft()[1]
