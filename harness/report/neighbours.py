"""The messages around one in its inbox, by position: what came before and behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.history import records as h
from harness.history.reader import Placed

AROUND_MAX = 1_000
"""Most neighbours on each side."""


@dataclass(slots=True, kw_only=True)
class Neighbour:
    """What is known of one message at one position; -1: no record tells.

    Attributes:
        seen: In how many deliveries it came.
    """

    pos: int
    producer: int
    n: int
    acknowledged_ns: int = -1
    delivered_ns: int = -1
    seen: int = 0


def around(
    walk: Callable[[], Iterable[Placed]], inbox: str, pos: int, reach: int
) -> list[Neighbour]:
    """Return what lies from `pos - reach` to `pos + reach`, by position and id.

    A position that holds nothing is missing from it; one at which two different messages were seen
    is there twice.

    Args:
        walk: Begins a walk over the history; there are two, since an acknowledgement need not tell
            the position and may lie anywhere.
        inbox: The inbox.
        pos: The position in the middle.
        reach: How many positions on each side.
    """
    found: dict[tuple[int, int, int], Neighbour] = {}
    for _, record in walk():
        match record:
            case h.Completed() if record.inbox == inbox and record.pos_first >= 0:
                run = (record.pos_first, record.count, record.producer, record.n_first)
                for one in _known(found, run, pos - reach, pos + reach):
                    one.acknowledged_ns = record.t_ns
            case h.Delivered() if record.inbox == inbox:
                first = record.pos_first
                for part in record.runs:
                    run = (first, part.count, part.producer, part.n_first)
                    for one in _known(found, run, pos - reach, pos + reach):
                        one.seen += 1
                        if one.delivered_ns < 0:
                            one.delivered_ns = record.t_ns
                    first += part.count
            case _:
                pass
    near = [found[key] for key in sorted(found)]
    _add_acknowledgements(walk(), inbox, near)
    return near


def _known(
    found: dict[tuple[int, int, int], Neighbour],
    run: tuple[int, int, int, int],
    low: int,
    high: int,
) -> list[Neighbour]:
    """Return the neighbours within a run of (position, count, producer, n), made where missing."""
    first, count, producer, n_first = run
    return [
        found.setdefault(
            (at, producer, n_first + at - first),
            Neighbour(pos=at, producer=producer, n=n_first + at - first),
        )
        for at in range(max(low, first), min(high, first + count - 1) + 1)
    ]


def _add_acknowledgements(placed: Iterable[Placed], inbox: str, near: list[Neighbour]) -> None:
    for _, record in placed:
        if isinstance(record, h.Completed) and record.inbox == inbox and record.outcome == h.OK:
            for one in near:
                inside = 0 <= one.n - record.n_first < record.count
                if one.producer == record.producer and inside:
                    one.acknowledged_ns = record.t_ns
