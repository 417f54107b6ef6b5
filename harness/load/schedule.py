"""Open-loop schedules: when each batch is due, whatever the system answers."""

from __future__ import annotations

from collections.abc import Iterator

from harness.load.roster import SenderSeat


def due_batches(seat: SenderSeat, begin_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield (due_ns, count) of the seat's batches within [begin_ns, end_ns), evenly spaced.

    The last batch of a limited count may be smaller. A seat with rate 0 has no schedule: its
    whole count is due at once, in batches; without a count it yields for ever (closed loop). One
    that was drawn yields its own batches, all of them.
    """
    if seat.batches:
        for index, count in enumerate(seat.batches):
            due_s = seat.offset_s + index * seat.period_s
            yield begin_ns + int(due_s * 1e9), count
        return
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


def due_count(seat: SenderSeat, begin_ns: int, end_ns: int, now_ns: int) -> int:
    """Return how many messages of a seat were due by now; none of a seat without a schedule.

    The same count as of `due_batches`, without going through them.
    """
    if not seat.rate_per_s:
        return 0
    period_ns = seat.batch_count / seat.rate_per_s * 1e9
    # A batch that falls on the end is not due any more.
    span_ns = min(now_ns, end_ns - 1) - begin_ns - int(seat.offset_s * 1e9)
    if span_ns < 0:
        return 0
    due = (int(span_ns / period_ns) + 1) * seat.batch_count
    return min(due, seat.count) if seat.count else due
