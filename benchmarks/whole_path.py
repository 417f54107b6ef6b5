"""The whole path, measured: msg/s and CPU per message by process, as ratios in one run.

``python -m benchmarks.whole_path`` runs the scenario beside this file (100-byte messages in batches
of 500 to one inbox, fsync before every acknowledgement, Toxiproxy on both hops, every message
checked) at 50, 5 and 1 buckets in turn, several rounds, then at 50 buckets with churn. It prints
the median of each figure; quote ratios, since the machine is rarely quiet. Every run must PASS.

msg/s is verified messages between the first invocation and the last delivery. CPU is user and
system time of all processes from start to end, checker included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import anyio

from harness.report.result import Result, Status
from harness.run.observer import NullObserver
from harness.run.request import RunRequest
from harness.run.runner import run
from harness.scenario.loader import find
from harness.scenario.parameters import resolve

SCENARIO = Path(__file__).with_name("whole_path_scenario.py")
VARIANTS = {
    "50 buckets": {"bucket_count": "50"},
    "5 buckets": {"bucket_count": "5"},
    "1 bucket": {"bucket_count": "1"},
    "50 buckets, churn": {"bucket_count": "50", "up_s": "2", "senders": "6"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: messages per second, and CPU µs per message by role."""

    per_s: float
    cpu_us: dict[str, float]


def measure(assignments: dict[str, str], seed: int) -> Sample:
    """Carry out one run and return its figures; a run that does not PASS ends everything."""
    loaded = find(str(SCENARIO))
    with tempfile.TemporaryDirectory(prefix="tallystick-benchmark-") as folder:
        request = RunRequest(
            loaded=loaded,
            place=str(SCENARIO),
            parameters=resolve(loaded.scenario.parameters, "standard", assignments),
            profile="standard",
            seed=seed,
            run_dir=Path(folder),
            command="python -m benchmarks.whole_path",
        )
        outcome = anyio.run(run, request, NullObserver(), backend_options={"use_uvloop": True})
    return sample_of(outcome.result)


def sample_of(result: Result) -> Sample:
    """Return the figures of a result."""
    if result.verdict.status is not Status.PASS:
        sys.exit(f"{result.verdict.status}: {result.verdict.reason}")
    cpu_us: dict[str, float] = defaultdict(float)
    for process in result.processes:
        cpu_us[process.role] += process.cpu_s * 1e6 / result.counts.delivered
    return Sample(per_s=result.throughput_per_s.delivered, cpu_us=dict(cpu_us))


def main() -> None:
    """Measure all variants in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration-s", default="6")
    arguments = parser.parse_args()
    samples: dict[str, list[Sample]] = defaultdict(list)
    for number in range(arguments.rounds):
        for name, assignments in VARIANTS.items():
            samples[name].append(
                measure({**assignments, "duration_s": arguments.duration_s}, seed=number)
            )
            print(f"round {number + 1}: {name}: {samples[name][-1].per_s:,.0f} msg/s", flush=True)
    baseline = statistics.median(s.per_s for s in samples["1 bucket"])
    for name, found in samples.items():
        per_s = statistics.median(s.per_s for s in found)
        roles = {
            role: statistics.median(s.cpu_us.get(role, 0.0) for s in found)
            for role in found[0].cpu_us
        }
        parts = ", ".join(f"{role} {cpu_us:.2f}" for role, cpu_us in roles.items())
        print(
            f"{name:18} {per_s:>9,.0f} msg/s  {per_s / baseline:5.2f} x 1 bucket  "
            f"{sum(roles.values()):5.2f} µs CPU ({parts})"
        )


if __name__ == "__main__":
    main()
