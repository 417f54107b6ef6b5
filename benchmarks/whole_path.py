"""The whole path, measured: msg/s and CPU per message by process, as ratios in one run.

``python -m benchmarks.whole_path`` runs the scenario beside this file (100-byte messages in batches
of 500 to one inbox, fsync before every acknowledgement, Toxiproxy on both hops, every message
checked) at 50, 5 and 1 buckets in turn, several rounds, then at 50 buckets with churn. It prints
the median of each figure; quote ratios, since the machine is rarely quiet. Every run must PASS.

msg/s is verified messages between the first invocation and the last delivery. CPU is user and
system time of all processes from start to end, checks included. Of it, what a run of next to no
messages costs (interpreters, imports, set-up, report) is shown as start-up: a longer run has less
of it per message. The total is the honest figure; the rest says what one more message costs.
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
NEXT_TO_NOTHING = {"count": "500", "senders": "1", "duration_s": "0.1"}
"""What a run is given to find out what it costs to start and end all processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: messages, messages per second, and CPU seconds by role."""

    messages: int
    per_s: float
    cpu_s: dict[str, float]


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
    cpu_s: dict[str, float] = defaultdict(float)
    for process in result.processes:
        cpu_s[process.role] += process.cpu_s
    return Sample(
        messages=result.counts.delivered,
        per_s=result.throughput_per_s.delivered,
        cpu_s=dict(cpu_s),
    )


def cost_table(samples: list[Sample], start_s: dict[str, float]) -> list[tuple[str, float, float]]:
    """Return (role, µs of CPU per message, how much of it is start-up), medians."""
    table = []
    for role in samples[0].cpu_s:
        total = statistics.median(s.cpu_s.get(role, 0.0) / s.messages * 1e6 for s in samples)
        start = statistics.median(start_s.get(role, 0.0) / s.messages * 1e6 for s in samples)
        table.append((role, total, start))
    return table


def report(
    name: str, samples: list[Sample], start_s: dict[str, float], baseline: float, reference: str
) -> None:
    """Print what a variant came to: all processes, then each of them."""
    per_s = statistics.median(s.per_s for s in samples)
    table = cost_table(samples, start_s)
    path = sum(total for role, total, _ in table if role != "harness")
    total_us, start_us = sum(row[1] for row in table), sum(row[2] for row in table)
    print(
        f"{name:18} {per_s:>9,.0f} msg/s  {per_s / baseline:5.2f} x {reference}\n"
        f"    CPU µs per message: {total_us:.2f} in all (start-up {start_us:.2f}, "
        f"beyond it {total_us - start_us:.2f}); path {path:.2f}, harness {total_us - path:.2f}"
    )
    for role, total, start in table:
        print(f"    {role:12} {total:6.2f}  (start-up {start:.2f}, beyond it {total - start:.2f})")


def main() -> None:
    """Measure all variants in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration-s", default="12", help="of load, per run")
    parser.add_argument("--only", choices=VARIANTS, action="append", help="a variant; repeatable")
    arguments = parser.parse_args()
    variants = arguments.only or list(VARIANTS)
    idle = [measure(NEXT_TO_NOTHING, seed=number) for number in range(arguments.rounds)]
    start_s = {
        role: statistics.median(sample.cpu_s.get(role, 0.0) for sample in idle)
        for role in idle[0].cpu_s
    }
    samples: dict[str, list[Sample]] = defaultdict(list)
    for number in range(arguments.rounds):
        for name in variants:
            assignments = {**VARIANTS[name], "duration_s": arguments.duration_s}
            samples[name].append(measure(assignments, seed=number))
            print(f"round {number + 1}: {name}: {samples[name][-1].per_s:,.0f} msg/s", flush=True)
    reference = "1 bucket" if "1 bucket" in variants else variants[0]
    baseline = statistics.median(s.per_s for s in samples[reference])
    for name in variants:
        report(name, samples[name], start_s, baseline, reference)
    print(f"start-up CPU seconds: {', '.join(f'{r} {s:.2f}' for r, s in start_s.items())}")


if __name__ == "__main__":
    main()
