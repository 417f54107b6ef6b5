"""Thresholds on speed and liveness: ``ack_p99_ms <= 500``, compared with what a run measured."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.checkers.noisy_neighbour import ratio_of
from harness.errors import UsageError
from harness.nearest import did_you_mean
from harness.report.result import (
    Counts,
    Latencies,
    Latency,
    Limit,
    LoadLatency,
    Process,
    Throughput,
)

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*")

METRICS: Mapping[str, str] = {
    "ack_p50_ms": "intended start of a send to its acknowledgement, median",
    "ack_p90_ms": "the same, 90 % below",
    "ack_p99_ms": "the same, 99 % below",
    "ack_p999_ms": "the same, 99.9 % below",
    "ack_max_ms": "the same, the longest",
    "delivery_p50_ms": "intended start of a send to its first delivery, median",
    "delivery_p90_ms": "the same, 90 % below",
    "delivery_p99_ms": "the same, 99 % below",
    "delivery_p999_ms": "the same, 99.9 % below",
    "delivery_max_ms": "the same, the longest",
    "offered_per_s": "messages per second that the schedule wanted sent",
    "acknowledged_per_s": "messages per second acknowledged",
    "delivered_per_s": "messages per second delivered",
    "acknowledged_messages": "acknowledged messages",
    "delivered_messages": "distinct delivered messages",
    "redelivered_messages": "deliveries beyond the first of each message",
    "unresolved_messages": "messages with an unknown outcome that never came",
    "duration_s": "length of the run",
    "cpu_us_per_message": "CPU of all processes but the harness, per delivered message",
    "core_rss_max_bytes": "largest resident memory of a core",
    "noisy_neighbour_ratio": "largest p99 of quiet users in a load, against theirs in baselines",
    "edge_rss_max_bytes": "largest resident memory of an edge",
}
"""Every metric a limit may name, and what it says."""

HARNESS = "harness"
"""The role of the judging process among those of a result."""


MORE_IS_BETTER = frozenset(
    {
        "offered_per_s",
        "acknowledged_per_s",
        "delivered_per_s",
        "acknowledged_messages",
        "delivered_messages",
    }
)
"""Metrics whose limit is a least; of all others it is a most."""

_BARE = re.compile(r"\s*([a-z][a-z0-9_]*)\s*=\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A limit before it was measured."""

    metric: str
    op: str
    limit: float


def parse(text: str) -> Threshold:
    """Return the threshold that `text` states.

    Raises:
        UsageError: It is not ``metric op number``, or the metric does not exist; says what does.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise UsageError(f"limit {text!r}: write `metric op number`, as in `ack_p99_ms <= 500`")
    metric, op, number = found.groups()
    if metric not in METRICS:
        hint = did_you_mean(metric, METRICS)
        told = "`tallystick explain limits` lists all"
        raise UsageError(f"limit {text!r}: no metric {metric!r}{hint} ({told})")
    return Threshold(metric=metric, op=op, limit=float(number.replace("_", "")))


def parse_option(text: str) -> str:
    """Return what ``--limit`` says in the form that `parse` reads.

    ``metric=number`` is a most (latencies, CPU, memory, time) or a least (rates, messages).

    Raises:
        UsageError: It is neither that nor ``metric op number``, or the metric does not exist.
    """
    bare = _BARE.fullmatch(text)
    if bare is not None:
        metric, number = bare.groups()
        text = f"{metric} {'>=' if metric in MORE_IS_BETTER else '<='} {number}"
    try:
        found = parse(text)
    except UsageError as error:
        raise UsageError(f"--{error}") from None
    return f"{found.metric} {found.op} {found.limit:.15g}"


def combine(of_plan: Iterable[str], of_user: Sequence[str]) -> list[str]:
    """Return the limits of a run: the user's replace those of the plan on the same metric."""
    named = {parse(text).metric for text in of_user}
    return [*(text for text in of_plan if parse(text).metric not in named), *of_user]


def measure(
    *,
    counts: Counts,
    latency_ms: Latencies,
    throughput_per_s: Throughput,
    processes: Sequence[Process],
    duration_s: float,
    load_latency_ms: Sequence[LoadLatency] = (),
) -> dict[str, float]:
    """Return every metric that was measured; one without a measurement is absent."""
    sends = counts.sends
    if not (sends.ok or sends.fail or sends.info or counts.delivered or throughput_per_s.offered):
        # Nothing was sent, so nothing was measured: "0 redelivered" would meet any limit.
        return {}
    measured: dict[str, float] = {
        "offered_per_s": throughput_per_s.offered,
        "acknowledged_per_s": throughput_per_s.acknowledged,
        "delivered_per_s": throughput_per_s.delivered,
        "acknowledged_messages": counts.sends.ok,
        "delivered_messages": counts.delivered,
        "redelivered_messages": counts.redelivered,
        "unresolved_messages": counts.unresolved,
        "duration_s": duration_s,
    }
    measured.update(_latency_metrics("ack", latency_ms.ack))
    measured.update(_latency_metrics("delivery", latency_ms.delivery))
    if ratios := [ratio for one in load_latency_ms if (ratio := ratio_of(one)) is not None]:
        measured["noisy_neighbour_ratio"] = max(ratios)
    if processes and counts.delivered:
        # The harness is still judging when a limit is compared, so its own is never in it.
        cpu_s = sum(process.cpu_s for process in processes if process.role != HARNESS)
        measured["cpu_us_per_message"] = cpu_s * 1e6 / counts.delivered
    for role in ("core", "edge"):
        resident = [process.rss_max_bytes for process in processes if process.role == role]
        if resident:
            measured[f"{role}_rss_max_bytes"] = max(resident)
    return measured


def _latency_metrics(name: str, latency: Latency | None) -> dict[str, float]:
    if latency is None or not latency.count:
        return {}
    return {
        f"{name}_p50_ms": latency.p50,
        f"{name}_p90_ms": latency.p90,
        f"{name}_p99_ms": latency.p99,
        f"{name}_p999_ms": latency.p999,
        f"{name}_max_ms": latency.max,
    }


def compare(thresholds: Iterable[Threshold], measured: Mapping[str, float]) -> list[Limit]:
    """Return each threshold with its measurement; what was not measured is not met."""
    compared = []
    for threshold in thresholds:
        value = measured.get(threshold.metric)
        compared.append(
            Limit(
                metric=threshold.metric,
                op=threshold.op,
                limit=threshold.limit,
                measured=value,
                met=value is not None and _OPERATORS[threshold.op](value, threshold.limit),
            )
        )
    return compared
