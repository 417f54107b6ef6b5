"""Measures the brokers beside each other: the tables of `docs/brokers.md`.

``python -m benchmarks.brokers`` runs one load on all systems, times how soon their clients are
served again (`tallystick conform`), and runs the scenarios that apply to brokers. It prints the
tables; with ``--write`` they replace those in `docs/brokers.md`. Run it when nothing else runs.
What is not begun within ``--within-min`` is left out and says so.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio

from harness.conform.case import CASES, Case
from harness.conform.registered import coming_back
from harness.conform.suite import Tried, try_all
from harness.errors import HarnessError
from harness.provision.toxiproxy import ensure
from harness.report.codec import decode_result
from harness.report.writer import RESULT_NAME
from harness.systems.registry import load_system

DOCUMENT = Path(__file__).parent.parent / "docs" / "brokers.md"
BEGIN, END = "<!-- measured: benchmarks/brokers.py -->", "<!-- measured: end -->"

BROKERS = ("nats", "valkey", "kafka")
SYSTEMS = ("reference", *BROKERS)
SEED = 8

ONE_LOAD = (
    "global_fan_in", "--set", "rate_per_s=1000", "--set", "batch_count=50",
    "--set", "vip_senders=10", "--set", "user_senders=10", "--set", "users=10",
    "--set", "duration_s=20", "--set", "cut_s=0.1", "--set", "messages_min=0",
)  # fmt: skip

SCENARIOS = (
    "offline_messaging", "core_crash", "reset_mid_batch", "reconnect_storm", "slow_receiver",
    "noisy_neighbour", "global_fan_in", "chaos_mix",
)  # fmt: skip

RUN_WITHIN_S = 600.0
"""Deadline of one scenario on all its systems."""

TABLE_NAME = "systems.md"


class Clock:
    """What is left of the time."""

    def __init__(self, within_s: float) -> None:
        self._end_s = time.monotonic() + within_s

    @property
    def is_over(self) -> bool:
        """Nothing more is to be begun."""
        return time.monotonic() > self._end_s


def run(words: Sequence[str], systems: Sequence[str], out: Path) -> None:
    """Run a scenario on the systems in turn; what becomes of it stands in its folder."""
    command = [
        sys.executable, "-m", "tallystick", "run", *words, "--seed", str(SEED),
        "--system", ",".join(systems), "--keep-history", "never", "--out", str(out),
    ]  # fmt: skip
    print(f"{' '.join(words[:1])} on {', '.join(systems)}", file=sys.stderr)
    log = out.with_suffix(".log").open("wb")
    with log:
        try:
            subprocess.run(command, check=False, stdout=log, stderr=log, timeout=RUN_WITHIN_S)
        except subprocess.TimeoutExpired:
            print(f"no end within {RUN_WITHIN_S:g} s: see {log.name}", file=sys.stderr)


def told_load() -> str:
    """Return how busy the machine is, for whoever reads the figures."""
    return f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"


def one_load(out: Path) -> list[str]:
    """Return the table of the same load on all systems."""
    run(ONE_LOAD, SYSTEMS, out)
    table = out / TABLE_NAME
    return table.read_text().strip().splitlines() if table.exists() else ["not run to its end"]


def ways_back(out: Path, clock: Clock) -> list[str]:
    """Return the table of how soon clients are served again."""
    cases = [one for one in CASES if one.body.__module__ == coming_back.__name__]
    names = [one.name for one in cases]
    lines = [f"| system | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for system in SYSTEMS:
        tried = [] if clock.is_over else _timed(system, cases, out / system)
        cells = [f"{one.told} ({one.ended.value})" for one in tried]
        lines.append(f"| {system} | {' | '.join(cells or ['not run'] * len(names))} |")
    return lines


def _timed(system: str, cases: Sequence[Case], folder: Path) -> list[Tried]:
    print(f"ways back of {system}", file=sys.stderr)
    toxiproxy = ensure(partial(print, file=sys.stderr))
    folder.mkdir(parents=True)
    work = partial(
        try_all, load_system(system), cases, toxiproxy.path, folder, SEED, lambda _one: None
    )
    try:
        return anyio.run(work)
    except HarnessError as error:
        print(f"{system}: {error}", file=sys.stderr)
        return []


def scenarios(out: Path, clock: Clock) -> list[str]:
    """Return the table of the scenarios in the profile smoke."""
    lines = [f"| scenario | {' | '.join(BROKERS)} |", f"|---|{'---|' * len(BROKERS)}"]
    for name in SCENARIOS:
        folder = out / name
        if not clock.is_over:
            run((name, "--profile", "smoke"), BROKERS, folder)
        cells = [_cell(folder / broker / RESULT_NAME) for broker in BROKERS]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def _cell(path: Path) -> str:
    if not path.exists():
        return "not run"
    result = decode_result(path.read_bytes())
    ack = result.latency_ms.ack
    p50 = "" if ack is None or ack.p50 is None else f", ack p50 {ack.p50:,.0f} ms"
    return f"{result.verdict.status.value} {result.run.duration_s:.1f} s{p50}"


def main() -> int:
    """Measure, print and perhaps write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--within-min", type=float, default=30.0, help="begin nothing later")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    parser.add_argument("--note", default="", help="what else the reader should know")
    chosen = parser.parse_args()
    # What client libraries say of every attempt would hide what is said here.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    clock = Clock(chosen.within_min * 60)
    begun = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {told_load()} at the begin"
    with tempfile.TemporaryDirectory(prefix="tallystick-brokers-") as scratch:
        folder = Path(scratch)
        loaded = one_load(folder / "one-load")
        back = ways_back(folder / "back", clock)
        matrix = scenarios(folder, clock)
    text = "\n".join([
        BEGIN,
        f"Measured {begun}, {told_load()} at the end. {chosen.note}".strip(),
        "", "One load:", "", *loaded,
        "", "How soon a client is served again (`tallystick conform`):", "", *back,
        "", f"The scenarios, `--profile smoke --seed {SEED}`:", "", *matrix, END,
    ])  # fmt: skip
    print(text)
    if chosen.write:
        page = DOCUMENT.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{text}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
