"""The checker measured: resident memory, messages per second and CPU of `tallystick check`.

``python -m benchmarks.checker`` writes long sound histories to disk (`harness.testing.
long_histories`), judges each as the end of a run does, and then runs `tallystick check`, every
step in a process of its own. Resident memory is the peak that the kernel reports of that process;
the interpreter and the imports are in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.testing.long_histories import Shape, judge_run, write_run

SHARES = {"batches of 500": 0.0, "80 % in batches, 20 % alone": 0.2, "all alone": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    rss_mb: float

    def told(self, messages: int) -> str:
        """Return it in words."""
        return (
            f"{self.rss_mb:6.0f} MB  {self.wall_s:7.1f} s  {messages / self.wall_s:>11,.0f} msg/s  "
            f"{self.cpu_s * 1e6 / messages:6.2f} µs CPU per message"
        )


def cost_of(*arguments: str) -> Cost:
    """Run Python with these arguments and return what it took.

    Raises:
        SystemExit: It did not end with 0, or (a verdict that is not PASS) with 3.
    """
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - began
    if process.returncode != 0:
        sys.exit(f"{' '.join(arguments)} ended with {process.returncode}")
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        rss_mb=usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024),
    )  # fmt: skip


def main() -> None:
    """Measure each kind of history, or carry out one step (in a process of its own)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", choices=("all", "write", "judge"), default="all")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--single-share", type=float, action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Where to keep the histories.")
    chosen = parser.parse_args()
    shares = chosen.single_share or list(SHARES.values())
    if chosen.step == "write":
        write_run(
            chosen.folder,
            Shape(messages=chosen.messages, single_share=shares[0], seed=chosen.seed),
        )
        return
    if chosen.step == "judge":
        judge_run(chosen.folder)
        return
    with tempfile.TemporaryDirectory(prefix="tallystick-benchmark-") as temporary:
        for share in shares:
            measure(chosen.folder or Path(temporary), chosen.messages, share, chosen.seed)


def measure(folder: Path, messages: int, share: float, seed: int) -> None:
    """Write, judge and check one history and print what each took."""
    name = next((name for name, known in SHARES.items() if known == share), f"{share:g} alone")
    run_dir = folder / f"alone-{share:g}"
    this = ("-m", "benchmarks.checker")
    common = ("--folder", str(run_dir), "--seed", str(seed))
    print(f"{messages:,} messages, {name}", flush=True)
    if not (run_dir / "history" / "index.json").is_file():
        made = cost_of(*this, "write", *common, "--messages", str(messages),
                       "--single-share", str(share))  # fmt: skip
        print(f"  written in {made.wall_s:.1f} s", flush=True)
    size = sum(path.stat().st_size for path in (run_dir / "history").iterdir())
    print(f"  history   {size / 1e6:,.0f} MB", flush=True)
    print(f"  judge     {cost_of(*this, 'judge', *common).told(messages)}", flush=True)
    print(f"  check     {cost_of('-m', 'tallystick', 'check', str(run_dir)).told(messages)}")


if __name__ == "__main__":
    main()
