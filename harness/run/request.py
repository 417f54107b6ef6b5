"""One run, fully decided before it starts, and what it hands back."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness.faults.schedule import Planned
from harness.report.result import INTEGER_LIMIT, Result
from harness.scenario.loader import LoadedScenario
from harness.scenario.parameters import Parameters

RESULTS_FOLDER = Path("results")
"""Where runs lie that name no folder of their own, below the working directory."""

LATEST_NAME = "latest"
REFERENCE_SYSTEM = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything that decides a run; the same request makes the same schedules.

    Attributes:
        loaded: The scenario and the place it came from.
        place: How the user named it; a load process finds it under the same words.
        parameters: Their final values.
        assignments: What ``--set`` said, as text.
        profile: The profile that gave the other values.
        seed: Below 2^53.
        system: The registered name, or ``module:NAME``.
        run_dir: The folder of the run; exists and is empty.
        command: What the user typed.
        keep_history: "always", "on-failure" or "never".
        charts: A report will be drawn: keep what it needs of a history that is removed.
        limits: Thresholds from the command line; they replace the plan's on the same metric.
        files: Python files that were loaded before, for their checks and faults.
        faults: The exact schedules of a replay, load phase by load phase; they replace the plan's.
        replays: The run folder that this repeats.
        notes: What people should know of this request; it stands in the result.
        planted_bug: The bug that the self-test plants; every other run refuses one.
    """

    loaded: LoadedScenario
    place: str
    parameters: Parameters
    assignments: Mapping[str, str] = field(default_factory=dict)
    profile: str
    seed: int
    system: str = REFERENCE_SYSTEM
    run_dir: Path
    command: str
    keep_history: str = "always"
    charts: bool = False
    limits: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    faults: tuple[tuple[Planned, ...], ...] | None = None
    replays: str = ""
    notes: tuple[str, ...] = ()
    planted_bug: str = ""

    @property
    def run_id(self) -> str:
        """The name of the run folder."""
        return self.run_dir.name

    @property
    def repeat_command(self) -> str:
        """The command that repeats this run's schedule of load and faults."""
        if self.planted_bug:
            # Nothing else may plant it; without --keep its folder would go.
            words = ["tallystick", "selftest", "--only", self.planted_bug]
            return shlex.join([*words, "--seed", str(self.seed), "--keep"])
        if self.replays:
            return shlex.join(["tallystick", "replay", self.replays])
        words = ["tallystick", "run", self.place]
        words += ["--seed", str(self.seed), "--profile", self.profile]
        for name, value in self.assignments.items():
            words += ["--set", f"{name}={value}"]
        for file in self.files:
            words += ["--load", file]
        for limit in self.limits:
            words += ["--limit", limit]
        if self.system != REFERENCE_SYSTEM:
            words += ["--system", self.system]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A finished run: its result as written to `run_dir`."""

    run_dir: Path
    result: Result


def draw_seed() -> int:
    """Return a fresh seed, for a run whose user gave none; it is printed and stored."""
    return secrets.randbelow(INTEGER_LIMIT)


def stamp(now: datetime | None = None) -> str:
    """Return the time as folder names hold it: no colon, since artifact uploaders refuse it."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")


def new_folder(name: str, out: Path | None) -> Path:
    """Make and return the folder of a run or suite.

    Args:
        name: Its name below `RESULTS_FOLDER`, where a link "latest" then points to it.
        out: Given by the user instead; it may exist if it is empty.

    Raises:
        FileExistsError: `out` holds something already; an earlier result is never overwritten.
        OSError: The folder cannot be made.
    """
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise FileExistsError(f"{out} is not empty")
        return out
    RESULTS_FOLDER.mkdir(parents=True, exist_ok=True)
    folder = _first_free(RESULTS_FOLDER, name)
    _point_latest_to(folder)
    return folder


def _first_free(parent: Path, name: str) -> Path:
    suffix = 1
    while True:
        folder = parent / (name if suffix == 1 else f"{name}-{suffix}")
        try:
            folder.mkdir()
        except FileExistsError:
            suffix += 1
        else:
            return folder


def _point_latest_to(folder: Path) -> None:
    link = folder.parent / LATEST_NAME
    if link.exists() and not link.is_symlink():
        return
    # A second run may start at the same moment; a rename makes the last of them win.
    fresh = folder.parent / f".{LATEST_NAME}.{folder.name}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
