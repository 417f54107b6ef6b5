"""What a probe saw is held against a slicer: pieces where they tell, milliseconds where not."""

from __future__ import annotations

import pytest

from harness.faults.link_slicer import LinkSlicer

SLICER = LinkSlicer(delay_ms=4)
"""Its reply in 16 pieces has 15 pauses, 60 ms."""

UP = LinkSlicer(delay_ms=4, direction="upstream")


def seen(
    before: float, after: float, before_ms: float = 2, after_ms: float = 70
) -> dict[str, float]:
    return {
        "pieces_before": before, "before_ms": before_ms,
        "pieces_after": after, "after_ms": after_ms,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("slicer", "effect", "shown"),
    [
        (SLICER, seen(1, 17), True),
        # A machine that was slower before; the pieces tell.
        (SLICER, seen(1, 17, before_ms=200), True),
        # All in one piece, however late: no slicer.
        (SLICER, seen(1, 1), False),
        (SLICER, seen(1, 17, after_ms=5), False),
        # A busy machine, nothing imposed: a few pieces more, and later.
        (SLICER, seen(5, 5, before_ms=200, after_ms=330), False),
        (SLICER, seen(4, 7, before_ms=200, after_ms=330), False),
        (SLICER, seen(5, 16, before_ms=200, after_ms=330), True),
        # A server that answers pings one by one hides it.
        (SLICER, seen(24, 27), True),
        (SLICER, seen(24, 27, before_ms=60), False),
        # On the way up a question that is needed whole has one answer.
        (UP, seen(1, 1), True),
        (UP, seen(1, 1, before_ms=60), False),
        (UP, {"before_ms": 2, "after_ms": 70}, True),
        (UP, {"before_ms": 60, "after_ms": 70}, False),
        (SLICER, {}, False),
        (SLICER, {"pieces_before": 1, "before_ms": 2}, False),
    ],
)
def test_an_effect(slicer: LinkSlicer, effect: dict[str, float], shown: bool) -> None:
    assert slicer.is_effective(effect) is shown
