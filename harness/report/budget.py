"""Who gives up lines when a text has to fit a room that it would not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Lines that one part of a text would take.

    Attributes:
        lines: How many it would take.
        least: How many it is left with at least; 0: it may be left out.
        whole: It cannot be shortened: it is there with all its lines, or left out.
        rank: The part with the highest gives up first.
    """

    lines: int
    least: int = 0
    whole: bool = False
    rank: int = 0


def share_out(wishes: Sequence[Wish], room: int) -> list[int]:
    """Return how many lines each part has, with a sum of `room` at most.

    Only where even what everybody is left with at least is more than that, the sum is that.
    """
    given = [wish.lines for wish in wishes]
    for index in sorted(range(len(wishes)), key=lambda index: -wishes[index].rank):
        over = sum(given) - room
        if over <= 0:
            break
        wish = wishes[index]
        least = min(wish.least, wish.lines)
        given[index] = least if wish.whole else max(least, wish.lines - over)
    return given
