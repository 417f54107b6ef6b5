"""One scenario on several systems: verdict, speed and cost beside each other. Pure.

Runs on different systems prove different promises, and what one of them leaves out it need not do;
so the table names both beside the figures. It ranks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.result import CheckStatus, Result

HEAD = (
    "system", "verdict", "acknowledged", "delivered/s", "ack p50 ms", "ack p99 ms",
    "delivery p99 ms", "CPU µs/msg, all", "CPU µs/msg, nodes", "not judged",
)  # fmt: skip

_LOAD_ROLES = ("load-sender", "load-reader", "harness", "toxiproxy")
"""Processes that belong to the harness and not to the system under test."""


def rows(results: Mapping[str, Result]) -> list[tuple[str, ...]]:
    """Return one row of words per system, in their order, under `HEAD`."""
    return [_row(place, result) for place, result in results.items()]


def _row(place: str, result: Result) -> tuple[str, ...]:
    delivered = result.counts.delivered
    everything = sum(process.cpu_s for process in result.processes)
    nodes = sum(process.cpu_s for process in result.processes if process.role not in _LOAD_ROLES)
    skipped = sum(check.status is CheckStatus.NOT_APPLICABLE for check in result.checks)
    ack, delivery = result.latency_ms.ack, result.latency_ms.delivery
    return (
        place,
        str(result.verdict.status),
        f"{result.counts.sends.ok:,}",
        f"{result.throughput_per_s.delivered:,.0f}",
        "-" if ack is None else f"{ack.p50:,.1f}",
        "-" if ack is None else f"{ack.p99:,.1f}",
        "-" if delivery is None else f"{delivery.p99:,.1f}",
        f"{everything * 1e6 / delivered:,.0f}" if delivered else "-",
        f"{nodes * 1e6 / delivered:,.0f}" if delivered else "-",
        f"{skipped} checks",
    )


def as_markdown(results: Mapping[str, Result]) -> str:
    """Return the table as Markdown."""
    lines: list[Sequence[str]] = [HEAD, ["---"] * len(HEAD), *rows(results)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
