"""What was optional in a plan and left out, in words: it stands beside every verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from harness.report.result import NotTried, Suite
from harness.report.words import counted


def count_of(not_tried: Iterable[NotTried]) -> int:
    """Return how many planned things were left out."""
    return sum(one.times for one in not_tried)


def beside(count: int) -> str:
    """Return how many planned things were not tried, as it stands beside a verdict; "" for none."""
    return f"{counted(count, 'planned thing')} not tried" if count else ""


def lines(not_tried: Iterable[NotTried]) -> list[str]:
    """Return what was left out, a line for each reason: "process_kill on core: …"."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for one in not_tried:
        often = f" {one.times} times" if one.times > 1 else ""
        by_reason[one.why].append(f"{one.what}{often}")
    return [f"{', '.join(whats)}: {why}" for why, whats in by_reason.items()]


def of_suite(suite: Suite) -> str:
    """Return what the verdict of a suite does not speak of, "" if it speaks of everything."""
    parts = []
    if suite.not_applicable:
        parts.append(f"{counted(len(suite.not_applicable), 'scenario')} not applicable")
    if suite.not_run:
        parts.append(f"{counted(len(suite.not_run), 'run')} not run")
    parts.append(beside(sum(one.not_tried for one in suite.scenarios)))
    return ", ".join(filter(None, parts))
