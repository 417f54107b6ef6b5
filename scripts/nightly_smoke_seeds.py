"""Runs the smoke suite under many seeds without any bug, and tells how many raised an alarm.

``python scripts/nightly_smoke_seeds.py --seeds 50`` runs `tallystick verify --profile smoke` once
per seed. A seed is an alarm when its suite says FAIL, UNKNOWN or ERROR, or when it writes no suite
at all; PASS with limits missed is none, since speed depends on the machine. The folder of an alarm
is kept, the others are removed. Exit code 0 if no seed raised an alarm, else 1.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.report.codec import decode_suite
from harness.report.result import Status
from harness.report.writer import SUITE_NAME
from harness.run.bound import rate_max_95
from harness.run.request import RESULTS_FOLDER, new_folder, stamp

SUITE_WITHIN_S = 900
"""Deadline of one suite; smoke takes a minute or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One seed: its status ("" where there is no suite), what alarmed, and how long it took."""

    seed: int
    status: str
    alarmed: tuple[str, ...]
    duration_s: float

    @property
    def quiet(self) -> bool:
        """Everything passed."""
        return self.status == Status.PASS.value


def run_seed(seed: int, arguments: list[str], out: Path) -> Night:
    """Carry out one suite and return what it said."""
    command = [
        sys.executable, "-m", "tallystick", "verify", "--profile", "smoke", "--seed", str(seed),
        "--keep-history", "on-failure", "--out", str(out), *arguments,
    ]  # fmt: skip
    begun = time.monotonic()
    out.mkdir(parents=True)
    with (out.parent / f"{out.name}.log").open("wb") as log:
        try:
            subprocess.run(command, check=False, stdout=log, stderr=log, timeout=SUITE_WITHIN_S)
        except subprocess.TimeoutExpired:
            return _night(seed, "", (f"no end within {SUITE_WITHIN_S} s",), begun)
    try:
        suite = decode_suite((out / SUITE_NAME).read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        return _night(seed, "", (f"no suite: {error}",), begun)
    alarmed = tuple(
        f"{one.name} {one.status.value}: {one.reason}"
        for one in suite.scenarios
        if one.status is not Status.PASS
    )
    return _night(seed, suite.verdict.status.value if suite.complete else "", alarmed, begun)


def _night(seed: int, status: str, alarmed: tuple[str, ...], begun: float) -> Night:
    return Night(seed=seed, status=status, alarmed=alarmed, duration_s=time.monotonic() - begun)


def main() -> int:
    """Run the seeds; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=50, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--only", action="append", default=[], help="only this scenario")
    parser.add_argument("--out", type=Path, default=None, help="a new folder; else below results/")
    arguments = parser.parse_args()
    if arguments.out is None:
        RESULTS_FOLDER.mkdir(exist_ok=True)
    root = new_folder(f"{stamp()}-smoke-seeds", arguments.out)
    only = [word for name in arguments.only for word in ("--only", name)]
    alarms = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        night = run_seed(seed, only, root / f"seed-{seed}")
        print(f"seed {seed}: {night.status or 'no verdict'}, {night.duration_s:.0f} s", flush=True)
        for line in night.alarmed:
            print(f"    {line}", flush=True)
        if night.quiet:
            shutil.rmtree(root / f"seed-{seed}")
        else:
            alarms += 1
    print(f"{alarms} of {arguments.seeds} seeds raised an alarm; results in {root}")
    if not alarms:
        rate = rate_max_95(arguments.seeds)
        print(f"at 95 % fewer than {rate:.1%} of seeds raise one, on this machine")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
