"""Rare states in words: what a suite never reached, and the table of all that it could have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from harness.reach.catalogue import BY_NAME, LEFT_OUT, never_reached
from harness.report.result import Result, Suite

NAMES_SHOWN_MAX = 6
"""How many states a suite names; the command that stands behind them names all."""

NEVER = "-"
"""What stands in a table for a state that was not reached."""


def together(results: Iterable[Result]) -> tuple[dict[str, int], list[str]]:
    """Return how often runs together reached each state, and the names of those that none did."""
    reached: Counter[str] = Counter()
    systems: set[str] = set()
    for one in results:
        reached.update(one.reached)
        systems.add(one.system.name)
    told = dict(sorted(reached.items()))
    return told, never_reached(told, frozenset(systems))


def never(suite: Suite, command: str) -> str:
    """Return which states a suite never reached, in a sentence; "" if it reached all.

    One scenario alone is not said to have missed what others are there for.

    Args:
        suite: What ran.
        command: What tells all of them.
    """
    names = suite.never_reached
    if not names or len({one.name for one in suite.scenarios}) < 2:
        return ""
    listed = ", ".join(names[:NAMES_SHOWN_MAX])
    more = len(names) - NAMES_SHOWN_MAX
    behind = f" and {more} more" if more > 0 else ""
    reached = sum(name in BY_NAME for name in suite.reached)
    return (
        f"never reached in this suite: {listed}{behind}"
        f" ({reached} of {reached + len(names)} rare states were; all of them: {command})"
    )


def count(reached: Mapping[str, int], name: str) -> str:
    """Return how often a state was reached, as a table has it."""
    times = reached.get(name, 0)
    return f"{times:,}" if times else NEVER


def of_ones_own(reached: Mapping[str, int]) -> list[str]:
    """Return the names that only an adapter of one's own knows."""
    return sorted(name for name in reached if name not in BY_NAME and name not in LEFT_OUT)
