"""Facts about the machine that every result carries, and what is odd about them.

Nothing here judges a run. A fact that cannot be had on a platform is left out ("unknown", 0, null)
rather than guessed.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from harness.errors import SetupError
from harness.processes.environment import plain_environment
from harness.provision.places import checkout_root
from harness.provision.toxiproxy import Toxiproxy, locate
from harness.report.result import Environment, TallystickInfo, ToxiproxyInfo

FSYNC_SAMPLES: Final = 21
"""Writes of 4 KiB, each followed by fsync; the middle one counts."""

FSYNC_BYTES: Final = 4096
"""Size of one such write."""

FSYNC_BUDGET_S: Final = 2.0
"""A disk on which all samples would take longer is judged by the samples so far."""

FSYNC_FAST_MS: Final = 0.02
"""Below it nothing can have reached a disk, nor the cache of a virtual one."""

FSYNC_SLOW_MS: Final = 30.0
"""Above it group commits become so large that limits on speed are likely missed."""

OPEN_FILES_MIN: Final = 1024
"""Below it a run of a few hundred clients meets its limit of open files."""

CPU_MIN: Final = 2
"""Below it load generators, system and proxies stand in each other's way."""

GIT_TIMEOUT_S: Final = 5.0
"""The longest that one question to git may take."""

VOLATILE: Final = frozenset({"tmpfs", "ramfs", "overlay", "overlayfs"})
"""File systems on which a sync says little about a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the place of the results and the process limits are like.

    `fsync_ms_p50` is None where the folder cannot be written.
    """

    filesystem: str
    fsync_ms_p50: float | None
    cpu_count: int
    memory_bytes: int
    open_files: int


def environment(folder: Path, toxiproxy: Toxiproxy | None = None) -> Environment:
    """Return the facts for a result that is written below `folder`.

    It writes and syncs a small file there (and removes it), which takes up to two seconds on a slow
    disk. Without `toxiproxy` the server is looked for, and left out when it is not there.
    """
    if toxiproxy is None:
        try:
            toxiproxy = locate()
        except SetupError:
            toxiproxy = None
    machine = measure(folder)
    server = None
    if toxiproxy is not None:
        server = ToxiproxyInfo(
            version=toxiproxy.version, sha256=toxiproxy.sha256, source=toxiproxy.source
        )
    return Environment(
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        tallystick=tallystick_info(),
        toxiproxy=server,
        cpu_count=machine.cpu_count,
        memory_bytes=machine.memory_bytes,
        filesystem=machine.filesystem,
        fsync_ms_p50=machine.fsync_ms_p50,
        flags=[*odd(machine).values(), *(toxiproxy.warnings if toxiproxy else ())],
    )


def measure(folder: Path) -> Machine:
    """Look at the machine and at the file system that holds `folder`, which need not exist yet."""
    place = existing(folder)
    return Machine(
        filesystem=filesystem(place),
        fsync_ms_p50=fsync_ms_p50(place),
        cpu_count=cpu_count(),
        memory_bytes=memory_bytes(),
        open_files=open_files_limit(),
    )


def odd(machine: Machine) -> dict[str, str]:
    """Return a sentence for each fact that makes measurements or durability doubtful, by fact."""
    found: dict[str, str] = {}
    if machine.filesystem in VOLATILE:
        found["filesystem"] = (
            f"results lie on {machine.filesystem}: a sync there need not reach a disk"
        )
    fsync_ms = machine.fsync_ms_p50
    if fsync_ms is not None and fsync_ms < FSYNC_FAST_MS:
        found["fsync"] = f"fsync takes {fsync_ms:.3f} ms: too fast to have reached a disk"
    if fsync_ms is not None and fsync_ms > FSYNC_SLOW_MS:
        found["fsync"] = f"fsync takes {fsync_ms:.0f} ms: limits on speed are likely missed"
    if machine.cpu_count < CPU_MIN:
        found["cpu"] = f"{machine.cpu_count} CPU: load and system under test share it"
    if machine.open_files < OPEN_FILES_MIN:
        found["open files"] = (
            f"only {machine.open_files} open files allowed; raise it with ulimit -n 4096"
        )
    return found


def existing(folder: Path) -> Path:
    """Return `folder`, or the nearest folder above it that exists."""
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    return place


def tallystick_info() -> TallystickInfo:
    """Return version and, in a checkout with git, the commit and whether files differ from it."""
    try:
        ours = version("tallystick")
    except PackageNotFoundError:
        ours = "unknown"
    root = checkout_root()
    commit = "" if root is None else _git(root, "rev-parse", "HEAD")
    dirty = bool(commit) and root is not None and _git(root, "status", "--porcelain") != ""
    return TallystickInfo(version=ours, commit=commit, dirty=dirty)


def cpu_count() -> int:
    """Return the CPUs that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the machine's memory, or 0 where it cannot be asked for."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def open_files_limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def filesystem(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system that holds `folder`, "unknown" where nothing tells it."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    place = folder.resolve()
    best, best_depth = "unknown", -1
    for line in lines:
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        # The kernel writes a space in a path as \040, and likewise tab, newline and backslash.
        point = Path(fields[4].encode().decode("unicode_escape"))
        # Of two mounts on one point the later one hides the earlier.
        if place.is_relative_to(point) and len(point.parts) >= best_depth:
            best, best_depth = right.split(" ")[0], len(point.parts)
    return best


def fsync_ms_p50(folder: Path) -> float | None:
    """Return the median time of a small write with fsync in `folder`; None if it cannot be written.

    A sample of a quiet moment: it says nothing of the time under load.
    """
    samples_ms: list[float] = []
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            deadline = time.monotonic() + FSYNC_BUDGET_S
            for _ in range(FSYNC_SAMPLES):
                file.write(b"\0" * FSYNC_BYTES)
                start_ns = time.perf_counter_ns()
                os.fsync(file.fileno())
                samples_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
                if time.monotonic() >= deadline:
                    break
    except OSError:
        return None
    return round(statistics.median(samples_ms), 4)


def _git(root: Path, *arguments: str) -> str:
    """Return what git says, or nothing: a checkout without git is no error."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "--no-optional-locks", *arguments],
            stdin=subprocess.DEVNULL,
            env=plain_environment(),
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
