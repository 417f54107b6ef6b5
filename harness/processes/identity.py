"""What the operating system says of a process: is it still the one that was started, is it stopped.

Process ids are reused. A pid together with its *mark*, which says when that process started, is
not, so a leftover is ended only when both are as written down.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
PS_WITHIN_S = 5.0
"""Deadline for `ps`, which is asked where there is no /proc."""

_AFTER_COMMAND_STATE = 0
_AFTER_COMMAND_UTIME = 11
_AFTER_COMMAND_STIME = 12
_AFTER_COMMAND_STARTED = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A living process: `state` is the letter of ps ("T" stopped, "Z" ended and not reaped)."""

    mark: str
    state: str
    cpu_s: float
    rss_max_bytes: int


@cache
def _boot_id() -> str:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def look(pid: int) -> Seen | None:
    """Return what is known of the process `pid`, or None when there is none.

    `rss_max_bytes` is its own peak since exec on Linux; elsewhere what it holds now.
    """
    if not (PROC / "self").exists():
        return _look_with_ps(pid)
    try:
        # The command's name may hold spaces and brackets; everything else follows the last one.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        status = (PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = int(fields[_AFTER_COMMAND_UTIME]) + int(fields[_AFTER_COMMAND_STIME])
    peak_kib = 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            peak_kib = int(line.split()[1])
    return Seen(
        mark=f"{_boot_id()}:{fields[_AFTER_COMMAND_STARTED]}",
        state=fields[_AFTER_COMMAND_STATE],
        cpu_s=ticks / os.sysconf("SC_CLK_TCK"),
        rss_max_bytes=peak_kib * 1024,
    )


def _look_with_ps(pid: int) -> Seen | None:
    done = subprocess.run(
        ["ps", "-o", "state=,rss=,time=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=PS_WITHIN_S,
        check=False,
    )
    words = done.stdout.split(maxsplit=3)
    if len(words) < 4:
        return None
    state, rss_kib, cpu, mark = words
    return Seen(
        mark=mark.strip(),
        state=state[0],
        cpu_s=_seconds(cpu),
        rss_max_bytes=int(rss_kib) * 1024,
    )


def _seconds(text: str) -> float:
    """Return the seconds of a time as ps writes it: [[days-]hours:]minutes:seconds[.hundredths]."""
    days, _, rest = text.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = total * 60 + float(part)
    return total + 86_400 * float(days or 0)


def children(pid: int) -> list[int]:
    """Return the ids of the children of a process, as far as the system tells (Linux)."""
    try:
        return [int(word) for word in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_same(pid: int, mark: str) -> bool:
    """Say whether the process `pid` is alive and the one that was marked."""
    seen = look(pid)
    return seen is not None and seen.mark == mark and seen.state != "Z"
