"""One scenario on several systems: verdict, speed and cost beside each other. Pure.

Runs on different systems prove different promises, and what one of them leaves out it need not do;
so the table names both beside the figures. It ranks nothing. Where a system was run several times a
figure is the median of its runs with their range behind it, as in ``1,200 (1,100..1,250)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.report import untried, words
from harness.report.result import CheckStatus, Result, Status

_LOAD_ROLES = ("load-sender", "load-reader", "harness", "toxiproxy")
"""Processes that belong to the harness and not to the system under test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one system's runs came to: the verdict of each, and the results of those that ended."""

    statuses: Sequence[Status]
    results: Sequence[Result]


def _cpu_us(result: Result, roles_left_out: Sequence[str] = ()) -> float | None:
    delivered = result.counts.delivered
    used_s = sum(one.cpu_s for one in result.processes if one.role not in roles_left_out)
    return used_s * 1e6 / delivered if delivered else None


def _ack(quantile: str) -> Callable[[Result], float | None]:
    return lambda result: getattr(result.latency_ms.ack, quantile, None)


FIGURES: tuple[tuple[str, int, Callable[[Result], float | None]], ...] = (
    ("acknowledged", 0, lambda result: result.counts.sends.ok),
    ("delivered/s", 0, lambda result: result.throughput_per_s.delivered),
    ("ack p50 ms", 1, _ack("p50")),
    ("ack p99 ms", 1, _ack("p99")),
    ("delivery p99 ms", 1, lambda result: getattr(result.latency_ms.delivery, "p99", None)),
    ("CPU µs/msg, all", 0, _cpu_us),
    ("CPU µs/msg, nodes", 0, lambda result: _cpu_us(result, _LOAD_ROLES)),
)
"""Name, decimal places, and how it is read; None where it was not measured."""

HEAD = ("system", "verdict", *(name for name, _, _ in FIGURES), "not judged", "not tried")


def rows(runs: Mapping[str, Ran]) -> list[tuple[str, ...]]:
    """Return one row of words per system, in their order, under `HEAD`."""
    return [_row(place, ran) for place, ran in runs.items()]


def _row(place: str, ran: Ran) -> tuple[str, ...]:
    skipped = [
        sum(check.status is CheckStatus.NOT_APPLICABLE for check in result.checks)
        for result in ran.results
    ]
    left = [untried.count_of(result.not_tried) for result in ran.results]
    return (
        place,
        _tally(ran.statuses),
        *(_spread([read(one) for one in ran.results], places) for _, places, read in FIGURES),
        words.counted(max(skipped), "check") if skipped else "-",
        words.counted(max(left), "thing") if any(left) else "-",
    )


def _tally(statuses: Sequence[Status]) -> str:
    """Return every verdict that came, and how often: none of them hides behind another."""
    counted = Counter(str(status) for status in statuses)
    return ", ".join(word if n == 1 else f"{word} x{n}" for word, n in counted.items()) or "-"


def _spread(found: Sequence[float | None], places: int) -> str:
    values = [value for value in found if value is not None]
    if not values:
        return "-"
    middle, low, high = (
        f"{value:,.{places}f}" for value in (median(values), min(values), max(values))
    )
    return middle if low == high else f"{middle} ({low}..{high})"


def as_markdown(runs: Mapping[str, Ran]) -> str:
    """Return the table as Markdown."""
    lines: list[Sequence[str]] = [HEAD, ["---"] * len(HEAD), *rows(runs)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
