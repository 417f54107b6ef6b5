"""What a session was sent and has not acknowledged: the core keeps to it, the edge remembers it."""

from __future__ import annotations

from collections import deque

import numpy as np


class Window:
    """What a session was sent and has not acknowledged, in bytes."""

    __slots__ = ("_sent", "in_flight_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.in_flight_bytes = 0
        # Per piece: position of its first unacknowledged message, its end, lengths, bytes left.
        self._sent: deque[tuple[int, int, bytes, int]] = deque()

    @property
    def room_bytes(self) -> int:
        """How much more may be sent."""
        return max(self.limit_bytes - self.in_flight_bytes, 0)

    def sent(self, pos_first: int, lengths: bytes, size_bytes: int) -> None:
        """Count a piece that was sent; `lengths` is its column."""
        self._sent.append((pos_first, pos_first + len(lengths) // 4, lengths, size_bytes))
        self.in_flight_bytes += size_bytes

    def resumed(self, pos_first: int, pos_upto: int, size_bytes: int) -> None:
        """Count what was sent over another link: how much it is in all is known, no lengths."""
        self._sent.append((pos_first, pos_upto + 1, b"", size_bytes))
        self.in_flight_bytes += size_bytes

    def acknowledged(self, upto: int) -> None:
        """Give back what lies at or below `upto`, also in the middle of a piece."""
        while self._sent and self._sent[0][0] <= upto:
            begin, end, lengths, size_bytes = self._sent.popleft()
            if end - 1 <= upto:
                self.in_flight_bytes -= size_bytes
                continue
            count = upto + 1 - begin
            given = size_bytes * count // (end - begin)
            if lengths:
                done = np.frombuffer(lengths, dtype="<u4", count=count)
                given = int(done.sum(dtype=np.int64)) + 4 * count
                lengths = lengths[4 * count :]
            self._sent.appendleft((upto + 1, end, lengths, size_bytes - given))
            self.in_flight_bytes -= given
            return
