"""Open-loop schedules: when each batch is due, whatever the system answers."""

from __future__ import annotations

from collections.abc import Iterator

from harness.load.roster import SenderSeat


def due_batches(seat: SenderSeat, begin_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield (due_ns, count) of the seat's batches within [begin_ns, end_ns), evenly spaced.

    The last batch of a limited count may be smaller. A seat with rate 0 has no schedule: its
    whole count is due at once, in batches; without a count it yields for ever (closed loop).
    """
    left = seat.count
    period_s = seat.batch_count / seat.rate_per_s if seat.rate_per_s else 0.0
    index = 0
    while not seat.count or left > 0:
        due_ns = begin_ns + int((seat.offset_s + index * period_s) * 1e9)
        if due_ns >= end_ns:
            return
        count = min(seat.batch_count, left) if seat.count else seat.batch_count
        yield due_ns, count
        left -= count
        index += 1
