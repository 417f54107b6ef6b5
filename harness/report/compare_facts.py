"""What makes two sets of runs unlike before anything was measured: scenario, settings, machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec

from harness.report.result import Environment, Result

_LINE = re.compile(r"\s*([\w.-]+)[:=\s]\s*(.*)")
"""A line of a configuration, as ``key: value``, ``key = value`` or ``key value``."""

_OF_THE_RUN = re.compile(r"\b[0-9a-f]{32}\b|(?<=:)\d{4,5}\b|^\d{4,5}$")
"""A secret of ours, the port of an address, and a port that is all there is behind its key."""

FSYNC_FACTOR = 2.0
"""Disks whose fsync differ by more than this are another environment."""


def differences(a: Sequence[Result], b: Sequence[Result], *, settings: bool = True) -> list[str]:
    """Return in words how the runs of the two sides differ in what they were asked to do."""
    told = []
    # No line of one server's configuration has a counterpart in another's.
    alike = {result.system.name for result in a} == {result.system.name for result in b}
    facts_a = [_facts(result, settings=settings, lines=alike) for result in a]
    facts_b = [_facts(result, settings=settings, lines=alike) for result in b]
    for name in dict.fromkeys(key for facts in (*facts_a, *facts_b) for key in facts):
        of_a = {_text(facts.get(name)) for facts in facts_a}
        of_b = {_text(facts.get(name)) for facts in facts_b}
        if of_a != of_b:
            told.append(f"{name}: {', '.join(sorted(of_a))} / {', '.join(sorted(of_b))}")
    fsync_a, fsync_b = _fsync(a), _fsync(b)
    if fsync_a and fsync_b and max(fsync_a, fsync_b) > FSYNC_FACTOR * min(fsync_a, fsync_b):
        told.append(f"fsync: {fsync_a:.3g} ms / {fsync_b:.3g} ms")
    return told


def _facts(result: Result, *, settings: bool, lines: bool) -> dict[str, Any]:
    run, system = result.run, result.system
    facts: dict[str, Any] = {
        "scenario": run.scenario,
        "profile": run.profile,
        "system": f"{system.name} {system.version}",
        "planted bug": system.planted_bug or "none",
        **{f"parameter {name}": value for name, value in run.parameters.items()},
    }
    if settings:
        for name, value in system.config.items():
            if not isinstance(value, str) or "\n" not in value:
                facts[f"setting {name}"] = value
            elif lines:
                facts |= _lines(f"setting {name}", value, run.id)
    return facts | _machine(result.environment)


def _lines(name: str, text: str, run_id: str) -> dict[str, str]:
    """Return the lines of a server's whole configuration, each a setting of its own.

    What a run chooses for its own server, its ports, its secret and its folder, differs in any two
    runs and tells nothing.
    """
    found = {}
    for line in text.splitlines():
        if (parts := _LINE.match(line)) is not None:
            words = _OF_THE_RUN.sub("…", parts[2]).split()
            told = " ".join("…" if run_id in word else word for word in words)
            found[f"{name} {parts[1]}"] = told
    return found


def _machine(environment: Environment) -> dict[str, Any]:
    return {
        "os": environment.os,
        "python": environment.python,
        "tallystick": environment.tallystick.version
        + (f" {environment.tallystick.commit[:12]}" if environment.tallystick.commit else ""),
        "toxiproxy": environment.toxiproxy.version if environment.toxiproxy else "none",
        "cpus": environment.cpu_count,
        "memory GiB": round(environment.memory_bytes / 2**30),
        "file system": environment.filesystem,
        "oddities": "; ".join(environment.flags) or "none",
    }


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _fsync(results: Sequence[Result]) -> float:
    values = [r.environment.fsync_ms_p50 for r in results if r.environment.fsync_ms_p50]
    return median(values) if values else 0.0
