"""The directions of a link, in the words that faults and schedules use."""

from __future__ import annotations

from harness.errors import UsageError
from harness.links.proxies import BOTH as WAYS
from harness.links.proxies import DOWNSTREAM, UPSTREAM

BOTH = "both"

DIRECTIONS = (UPSTREAM, DOWNSTREAM, BOTH)
"""client → server, server → client, and both."""


def ways(direction: str) -> tuple[str, ...]:
    """Return the single directions that a word stands for.

    Raises:
        UsageError: It is none of `DIRECTIONS`.
    """
    if direction not in DIRECTIONS:
        raise UsageError(f"direction {direction!r}: one of {', '.join(DIRECTIONS)}")
    return WAYS if direction == BOTH else (direction,)
