"""Numbers and facts of a result as short text, the same in the terminal and in summaries."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.history.records import missed
from harness.report.explain import ENTRIES
from harness.report.result import (
    Check,
    CheckStatus,
    ClientError,
    Counts,
    Fault,
    Latency,
    Limit,
    Process,
    Result,
    Status,
    Throughput,
)


def counted(number: int, noun: str) -> str:
    """Return how many there are: "1 restart", "2 restarts"; for nouns that take an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def nothing_happened(result: Result) -> bool:
    """Say whether a run broke before anything was sent; then there are no figures to tell."""
    sends = result.counts.sends
    offered = sends.ok + sends.fail + sends.info
    return result.verdict.status is Status.ERROR and not (offered or result.counts.delivered)


def fate(counts: Counts) -> Iterator[str]:
    """Yield in words what became of the messages, the promised ones first."""
    sends = counts.sends
    yield (
        f"{sends.ok:,} acknowledged, {sends.fail:,} refused, {sends.info:,} unknown; "
        f"{counts.delivered:,} delivered"
    )
    lost = f"lost {counts.lost.total:,}"
    if counts.lost.total:
        lost += (
            f" ({counts.lost.prefix:,} first, {counts.lost.middle:,} in between, "
            f"{counts.lost.suffix:,} last)"
        )
    if counts.vanished:
        lost += f", gone from the log {counts.vanished:,}"
    if counts.passed_by:
        lost += f", passed by {counts.passed_by:,}"
    yield (
        f"{lost}, duplicated {counts.duplicated:,}, reordered {counts.reordered:,}, "
        f"unresolved {counts.unresolved:,}"
    )
    yield (
        f"redelivered {counts.redelivered:,}, recovered {counts.recovered:,}; reconnects: "
        f"{counts.reconnects.sender:,} of senders, {counts.reconnects.receiver:,} of receivers"
    )


def latency(name: str, measured: Latency | None) -> str | None:
    """Return one line of a latency distribution; None if nothing was measured."""
    if measured is None or not measured.count:
        return None
    told = (
        f"{name} p50 {_ms(measured.p50)}, p90 {_ms(measured.p90)}, p99 {_ms(measured.p99)}, "
        f"p99.9 {_ms(measured.p999)}, max {_ms(measured.max)} ms"
    )
    if measured.waiting:
        waits = "waits" if measured.waiting == 1 else "wait"
        told += f"; {measured.waiting:,} of {measured.count:,} still {waits}, counted by age"
    return told


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def throughput(measured: Throughput) -> str:
    """Return the rates in messages per second."""
    return (
        f"{measured.offered:,.0f} offered, {measured.acknowledged:,.0f} acknowledged, "
        f"{measured.delivered:,.0f} delivered"
    )


WITNESSES_SHOWN_MAX = 3
"""Witnesses told per failed check; the result file holds more."""

RECORDS_SHOWN_MAX = 4
"""Records told per witness."""

LATE_TOLD_MS = 100.0
"""A generator that was never later than this has kept its schedule; it looks every 5 ms."""


def generator(measured: Throughput) -> str:
    """Return how far the load generator fell behind its schedule, "" if it did not."""
    if measured.late_max_ms <= LATE_TOLD_MS and not measured.never_offered:
        return ""
    told = f"fell behind its schedule by {measured.late_max_ms:,.0f} ms at worst"
    if measured.never_offered:
        told += f", {counted(measured.never_offered, 'message')} never offered"
    return told


def amount(metric: str, value: float) -> str:
    """Return a value of a metric for people: bytes in MB, anything else as it is."""
    return f"{value / 1e6:,.0f} MB" if metric.endswith("_bytes") else f"{value:,.6g}"


def limit(one: Limit) -> str:
    """Return a threshold and what was measured."""
    allowed = amount(one.metric, one.limit)
    measured = "nothing measured" if one.measured is None else amount(one.metric, one.measured)
    return f"{one.metric} {one.op} {allowed}: {measured}, {'met' if one.met else 'missed'}"


def fault(one: Fault) -> str:
    """Return a fault with when it was asked for, how long it held, and its observed effect."""
    when = held(one)
    effect = ", ".join(f"{name} {value:,.6g}" for name, value in one.effect.items())
    return f"{one.kind} {one.target} {when}: {effect if one.effective else 'NO EFFECT'}"


def held(one: Fault, digits: int = 1) -> str:
    """Return when a fault was asked for and how long it held; the first comes before all damage."""

    def seconds(t_ns: int) -> str:
        return f"{t_ns / 1e9:.{digits}f}"

    asked = f"asked for at {seconds(one.requested_ns)} s"
    if one.confirmed_ns is None:
        healed = "" if one.healed_ns is None else f", undone at {seconds(one.healed_ns)} s"
        return f"{asked}, never confirmed{healed}"
    if one.healed_ns is None:
        return f"{asked}, held from {seconds(one.confirmed_ns)} s to the end"
    return f"{asked}, held {seconds(one.confirmed_ns)} to {seconds(one.healed_ns)} s"


def in_request_order(faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults as they were asked for, whenever each was confirmed."""
    return sorted(faults, key=lambda one: one.requested_ns)


def faults_together(faults: Sequence[Fault], several: int = 6) -> list[str]:
    """Return one line per fault, or per kind and target where there are more than `several`."""
    faults = in_request_order(faults)
    if len(faults) <= several:
        return [fault(one) for one in faults]
    groups: dict[str, list[Fault]] = defaultdict(list)
    for one in faults:
        groups[one.kind].append(one)
    lines = []
    for kind, group in groups.items():
        effects: dict[str, list[float]] = defaultdict(list)
        for one in group:
            for name, value in one.effect.items():
                effects[name].append(value)
        told = ", ".join(_seen_together(name, values) for name, values in effects.items())
        targets = ", ".join(_targets_together({one.target for one in group}))
        line = f"{kind} {counted(len(group), 'time')} ({targets}){f': {told}' if told else ''}"
        if without := sum(not one.effective for one in group):
            line += f"; {without} without effect"
        lines.append(line)
    # What one fault did to several targets has one id.
    bit = {one.id for one in faults if one.effective}
    lines += [
        fault(one) for one in faults if one.id not in bit or missed(one.effective, one.effect)
    ]
    return lines


def _targets_together(targets: Collection[str], several: int = 3) -> list[str]:
    """Return the names; more than `several` actors on one link are told by their number."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(targets):
        groups[name.rpartition(":")[0]].append(name)
    told: list[str] = []
    for link, names in groups.items():
        told += [f"{len(names)} of {link}:*"] if link and len(names) > several else names
    return told


def _seen_together(name: str, values: Sequence[float]) -> str:
    """Return times and rates as a range; everything else is a count, and counts add up."""
    if not name.endswith(("_ms", "_s")):
        return f"{name} {sum(values):,.6g}"
    least, most = min(values), max(values)
    return f"{name} {least:,.6g}" + (f" to {most:,.6g}" if most != least else "")


def processes(used: Sequence[Process]) -> list[str]:
    """Return CPU and memory by role, and the sum over all processes."""
    by_role: dict[str, list[Process]] = defaultdict(list)
    for process in used:
        by_role[process.role].append(process)
    lines = []
    for role, group in by_role.items():
        restarts = sum(process.restarts for process in group)
        lines.append(
            f"{role}{f' x{len(group)}' if len(group) > 1 else ''} {_cpu(group)}, "
            f"at most {max(p.rss_max_bytes for p in group) / 1e6:,.0f} MB"
            + (f", {counted(restarts, 'restart')}" if restarts else "")
        )
    if len(by_role) > 1:
        lines.append(f"all together {_cpu(used)}")
    return lines


def _cpu(group: Sequence[Process]) -> str:
    per_message = [p.cpu_us_per_message for p in group if p.cpu_us_per_message is not None]
    cpu_s = sum(process.cpu_s for process in group)
    return f"{sum(per_message):.2f} µs per message" if per_message else f"{cpu_s:.1f} s of CPU"


def named(message: str, senders: Mapping[str, str]) -> str:
    """Return a message's name with its sender as people call it, as in ``sender-3/bob/12``."""
    producer, slash, rest = message.partition("/")
    return f"{senders.get(producer, producer)}{slash}{rest}"


def by_status(checks: Sequence[Check]) -> dict[CheckStatus, list[Check]]:
    """Return the checks grouped, every status present."""
    groups: dict[CheckStatus, list[Check]] = {status: [] for status in CheckStatus}
    for check in checks:
        groups[check.status].append(check)
    return groups


def record(shown: Mapping[str, Any], senders: Mapping[str, str] | None = None) -> str:
    """Return a witness record on one line: when, what, and its fields; senders by name."""
    names = senders or {}
    told = [str(shown.get("record", "record"))]
    if "t_ns" in shown:
        told.insert(0, f"{shown['t_ns'] / 1e9:.6f} s")
    for key, value in shown.items():
        if key in ("record", "t_ns"):
            continue
        if key.endswith("_ns") and isinstance(value, int) and value >= 0:
            told.append(f"{key.removesuffix('_ns')}={value / 1e9:.6f} s")
        elif key == "runs":
            told += [f"({_run(run, names)})" for run in value]
        elif key == "producer":
            told.append(_producer(value, names))
        else:
            told.append(f"{key}={value}")
    return " ".join(told)


def _run(shown: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return " ".join(
        _producer(value, names) if key == "producer" else f"{key}={value}"
        for key, value in shown.items()
        if key != "digest"
    )


def _producer(producer: object, names: Mapping[str, str]) -> str:
    name = names.get(str(producer))
    return f"producer={producer}" if name is None else f"{name} (producer={producer})"


def also_failed(checks: Sequence[Check]) -> str:
    """Return which other checks failed, and how often."""
    return ", ".join(f"{check.id} {check.name} ({check.instances:,})" for check in checks)


def history_command(run_dir: str, message: str) -> str:
    """Return the command that tells everything recorded of a witness' message."""
    return shlex.join(["tallystick", "history", run_dir, "--message", message])


def anomaly(check: Check) -> str:
    """Return what a failed check found, in one sentence."""
    return f"{check.id} {check.name}, {instances(check)}: {meaning(check)}"


def meaning(check: Check) -> str:
    """Return what it means that a check failed."""
    entry = ENTRIES.get(check.id)
    return entry.meaning if entry is not None else check.reason


def instances(check: Check) -> str:
    """Return how many anomalies were found, and in how many things looked at."""
    return f"{check.instances:,} in {check.examined:,} examined"


CLIENT_ERRORS_SHOWN_MAX = 4
"""Kinds of errors that are told on one page; the result has all."""

_OCCASIONS = {
    "connect": "could not connect",
    "lost": "lost a connection",
    "outcome": "messages not taken",
    "ask": "had no answer",
}


def client_errors(errors: Sequence[ClientError]) -> list[str]:
    """Return what clients were told by the system, the most frequent kinds first."""
    lines = [client_error(one) for one in errors[:CLIENT_ERRORS_SHOWN_MAX]]
    if (more := len(errors) - CLIENT_ERRORS_SHOWN_MAX) > 0:
        lines.append(f"and {counted(more, 'more kind')} of error in result.json")
    return lines


def client_error(one: ClientError) -> str:
    """Return one kind of error: how often, who, on what occasion, in the system's last words."""
    first_s, last_s = one.first_ns / 1e9, one.last_ns / 1e9
    when = f"at {first_s:.1f} s" if one.count == 1 else f"{first_s:.1f} to {last_s:.1f} s"
    occasion = _OCCASIONS.get(one.occasion, one.occasion)
    return f"{counted(one.count, 'time')}, {one.who} {occasion} ({when}): {one.last}"
