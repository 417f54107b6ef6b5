"""The rate of false alarms of `tallystick compare`, measured, and what it finds.

``python -m benchmarks.compare_rate simulate`` draws independent comparisons of equal sides, whose
figures hang together, have heavy tails, ties, zeros or drift, and counts those that call any figure
changed. ``python -m benchmarks.compare_rate real DIR...`` does so with real runs of one and the
same thing: make them first, as with

    tallystick run benchmarks/compare_rate_scenario.py --system reference,valkey --repeat 60

Each subject found below the folders is a pool of equal runs. "disjoint" cuts it, in the order of
time, into blocks that are compared once each, every other run against the rest: few comparisons,
but independent. "re-split" deals a pool out at random many times: many comparisons, not independent
of each other, so their interval is too narrow. ``power A B`` draws runs of two folders of unlike
runs and says how often each figure's change was seen, by runs per side.

Everything prints its number of comparisons and a 95 % interval (Wilson) of the rate.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path

import numpy as np

from harness.cli.compare import load_set
from harness.report.compare import Allowed, Comparison, compare
from harness.report.result import Result
from harness.report.significance import FALSE_ALARM_RATE, p_values
from harness.report.subjects import by_subject

NO_LIMIT = Allowed(by_metric={})
FIGURES = 12
RUNS_PER_SIDE = (4, 6, 10)
Z_95 = 1.96

Kind = Callable[[np.random.Generator, int], np.ndarray]


def correlated(random: np.random.Generator, runs: int) -> np.ndarray:
    """One cause for all figures of a run, and a little of each figure's own."""
    cause = random.standard_normal((runs, 1))
    return np.exp(0.4 * cause + 0.2 * random.standard_normal((runs, FIGURES)))


def independent(random: np.random.Generator, runs: int) -> np.ndarray:
    """Every figure by itself."""
    return np.exp(random.standard_normal((runs, FIGURES)))


def heavy_tails(random: np.random.Generator, runs: int) -> np.ndarray:
    """Pareto with an infinite variance: now and then a run is a hundred times slower."""
    return correlated(random, runs) * (1 + random.pareto(1.1, (runs, FIGURES)))


def ties_and_zeros(random: np.random.Generator, runs: int) -> np.ndarray:
    """Whole numbers, most of them 0, 1 or 2."""
    return np.floor(correlated(random, runs))


KINDS: tuple[Kind, ...] = (correlated, independent, heavy_tails, ties_and_zeros)


def told(name: str, calls: int, of: int) -> str:
    """Return a line with a rate and its interval."""
    if not of:
        return f"{name:<48} no comparison possible"
    rate, square = calls / of, Z_95**2
    middle = (rate + square / (2 * of)) / (1 + square / of)
    half = Z_95 * sqrt(rate * (1 - rate) / of + square / (4 * of * of)) / (1 + square / of)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return f"{name:<48} {calls:>5} of {of:>5} = {rate:6.1%}  ({low:.1%} to {high:.1%})"


def simulate(comparisons: int) -> None:
    """Print the rate over simulated comparisons of equal sides."""
    random = np.random.default_rng(4711)
    for kind in KINDS:
        for runs in RUNS_PER_SIDE:
            for paired in (False, True):
                # Of fewer pairs no p is small enough.
                if paired and runs < 6:
                    continue
                # In turn through a slow hour: each pair of runs has its own speed.
                hour = np.exp(0.5 * random.standard_normal((runs, 1))) if paired else 1.0
                calls = sum(
                    p_values(
                        hour * kind(random, runs), hour * kind(random, runs), paired=paired
                    ).min()
                    <= FALSE_ALARM_RATE
                    for _ in range(comparisons)
                )
                how = "pairs" if paired else "runs"
                print(told(f"{kind.__name__}, {runs} {how} per side", calls, comparisons))


def called(found: Comparison) -> bool:
    """Whether any figure was called changed."""
    return any(figure.changed for pair in found.pairs for figure in pair.figures)


def real(folders: Sequence[Path], splits: int) -> None:
    """Print the rate over pools of equal real runs."""
    random = np.random.default_rng(4711)
    for subject, found in by_subject(one for place in folders for one in load_set(place)).items():
        pool = [one for one in found if one.complete and one.checks]
        pool.sort(key=lambda one: one.run.started_at)
        print(f"{subject.scenario} on {subject.system}: {len(pool)} equal runs")
        for runs in RUNS_PER_SIDE:
            blocks = [pool[at : at + 2 * runs] for at in range(0, len(pool), 2 * runs)]
            blocks = [block for block in blocks if len(block) == 2 * runs]
            calls = sum(called(compare(one[::2], one[1::2], NO_LIMIT)) for one in blocks)
            print(told(f"  disjoint, {runs} runs per side", calls, len(blocks)))
            if not blocks:
                continue
            calls = 0
            for _ in range(splits):
                order = random.permutation(len(pool))
                a, b = (
                    [pool[at] for at in part] for part in (order[:runs], order[runs : 2 * runs])
                )
                calls += called(compare(a, b, NO_LIMIT))
            print(told(f"  re-split, {runs} runs per side", calls, splits))


def power(folder_a: Path, folder_b: Path, splits: int) -> None:
    """Print how often changes between unlike runs were seen."""
    random = np.random.default_rng(4711)
    sides = [load_set(folder_a), load_set(folder_b)]

    def some(side: Sequence[Result], runs: int) -> list[Result]:
        return [side[at] for at in random.choice(len(side), runs, replace=False)]

    for runs in RUNS_PER_SIDE:
        if min(map(len, sides)) < runs:
            break
        seen: dict[str, int] = {}
        for _ in range(splits):
            (pair,) = compare(some(sides[0], runs), some(sides[1], runs), NO_LIMIT).pairs
            for figure in pair.figures:
                seen[figure.metric] = seen.get(figure.metric, 0) + bool(figure.changed)
        print(f"{runs} runs per side")
        for metric, calls in seen.items():
            print(told(f"  {metric}", calls, splits))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    what = parser.add_subparsers(dest="what", required=True)
    simulated = what.add_parser("simulate")
    simulated.add_argument("--comparisons", type=int, default=1_000)
    from_runs = what.add_parser("real")
    from_runs.add_argument("folders", type=Path, nargs="+")
    from_runs.add_argument("--splits", type=int, default=200)
    unlike = what.add_parser("power")
    unlike.add_argument("folders", type=Path, nargs=2)
    unlike.add_argument("--splits", type=int, default=50)
    asked = parser.parse_args()
    if asked.what == "simulate":
        simulate(asked.comparisons)
    elif asked.what == "real":
        real(asked.folders, asked.splits)
    else:
        power(*asked.folders, asked.splits)


if __name__ == "__main__":
    main()
