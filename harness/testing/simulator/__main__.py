"""`python -m harness.testing.simulator --seeds 0:500`: run seeds, print those that fail.

With one seed and `--trace` it prints everything that happens, in virtual milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from harness.testing.bugs.registry import all_bugs, find_bug
from harness.testing.simulator.judge import judge
from harness.testing.simulator.plan import draw_plan
from harness.testing.simulator.world import World


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the simulations that the arguments ask for; 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m harness.testing.simulator")
    parser.add_argument("--seeds", default="0:100", help="first:end, or a single seed")
    parser.add_argument("--bug", choices=sorted(all_bugs()), help="plant this bug")
    parser.add_argument("--focus", action="store_true", help="only steps that the bug needs")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--stop", action="store_true", help="stop at the first seed that fails")
    options = parser.parse_args(arguments)
    first, _, end = options.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    trace = _say if options.trace else None
    bug = find_bug(options.bug) if options.bug else None
    begun_s = time.monotonic()
    failing = 0
    totals: Counter[str] = Counter()
    for seed in seeds:
        plan = draw_plan(seed, bug.focus if bug is not None and options.focus else ())
        try:
            if bug is None:
                simulated = World(plan, trace=trace).run()
            else:
                with bug.planted():
                    simulated = World(plan, bug.factories(), trace=trace).run()
            finding = judge(plan, simulated)
            totals.update(simulated.counts)
            text = "" if finding.fine else str(finding)
        except Exception as error:
            if options.trace:
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"raised {type(error).__name__}: {error} ({where.name}:{where.lineno})"
        if text:
            failing += 1
            _say(f"seed {seed}: {text}")
            if options.stop:
                break
    took_s = time.monotonic() - begun_s
    happened = ", ".join(f"{count} {name}" for name, count in sorted(totals.items()))
    _say(f"{failing} of {len(seeds)} seeds failed, {took_s:.1f} s; {happened}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
