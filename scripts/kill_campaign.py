"""Kills the core and the edges, by the score, in the middle of fan-in; nothing may be lost.

``python scripts/kill_campaign.py`` runs `global_fan_in` in rounds, each with several SIGKILLs of
the core and several over the edges while all clients churn. Every run must PASS: each kill is a
planned fault, and one that found no running process would make its run UNKNOWN. Prints a row per
run and
the bound that the kills support. Exit code 0 if every run passed, else 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.report.codec import decode_result
from harness.report.result import Result, Status
from harness.run.bound import rate_max_95


def run_once(seed: int, per_run: int, duration_s: float, out: Path) -> Result:
    """Carry out one run and return its result."""
    command = [
        sys.executable, "-m", "tallystick", "run", "global_fan_in", "--seed", str(seed),
        "--set", f"core_kills={per_run}", "--set", f"edge_kills={per_run}",
        "--set", f"duration_s={duration_s}", "--set", "rate_per_s=6000", "--set", "messages_min=0",
        "--out", str(out),
    ]  # fmt: skip
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return decode_result((out / "result.json").read_bytes())


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of the core, and as many of edges")
    parser.add_argument("--per-run", type=int, default=5, help="kills of each sort in one run")
    parser.add_argument("--duration-s", type=float, default=25.0, help="load of one run")
    parser.add_argument("--out", type=Path, default=None, help="keep the run folders here")
    arguments = parser.parse_args()
    rounds = -(-arguments.kills // arguments.per_run)
    kills = 0
    passed = True
    with tempfile.TemporaryDirectory(prefix="tallystick-kills-") as scratch:
        root = arguments.out or Path(scratch)
        for seed in range(rounds):
            result = run_once(seed, arguments.per_run, arguments.duration_s, root / f"run-{seed}")
            struck = sum(f.kind == "process_kill" and f.effective for f in result.faults)
            kills += struck
            passed = passed and result.verdict.status is Status.PASS
            counts = result.counts
            print(
                f"seed {seed}: {result.verdict.status} ({result.verdict.reason}); {struck} kills; "
                f"{counts.sends.ok:,} acknowledged, lost {counts.lost.total}, "
                f"duplicated {counts.duplicated}, reordered {counts.reordered}",
                flush=True,
            )
    bound = rate_max_95(kills)
    if bound is not None:
        print(f"{kills} kills; zero losses support less than {bound:.1%} per kill at 95 %")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
