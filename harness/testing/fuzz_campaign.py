"""Thousands of damaged runs, each given to `tallystick check`.

``python -m harness.testing.fuzz_campaign --mutations 5000 --seed 1`` prints what came out by kind
of mutation and exit code. A traceback, an error that nobody foresaw, an unknown exit code, or a
PASS that is none ends it with 1. The same code judges a few hundred mutations in the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.cli.main import run_cli
from harness.report.result import Status
from harness.testing.fuzz import ALLOWED_CODES, Mutation, is_void, make_run, mutate

EXIT_PASS = frozenset({0, 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `check` made of a mutation. `wrong` says what it must not have done, "" for nothing."""

    seed: int
    mutation: Mutation
    code: int
    wrong: str


def judge_mutation(original: Path, status: Status, seed: int, folder: Path) -> Outcome:
    """Damage a copy of a run and return what `check` said of it."""
    run_dir = folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    shutil.copytree(original, run_dir)
    mutation = mutate(run_dir, seed)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = run_cli(["check", str(run_dir)])
        except BaseException as error:
            return Outcome(seed=seed, mutation=mutation, code=-1, wrong=f"raised {error!r}")
    return Outcome(
        seed=seed,
        mutation=mutation,
        code=code,
        wrong=_wrong(original, run_dir, status, mutation, code, said.getvalue()),
    )


def _wrong(
    original: Path, run_dir: Path, status: Status, mutation: Mutation, code: int, said: str
) -> str:
    if "Traceback" in said or "tallystick --debug" in said:
        return f"not foreseen: {said.strip()[-300:]}"
    if code not in ALLOWED_CODES:
        return f"ended with {code}"
    if code in EXIT_PASS:
        if status is not Status.PASS:
            return f"a {status} became PASS"
        if not is_void(original, run_dir, mutation.sealed):
            return "passed, and something else is said of a message"
    return ""


def campaign(seeds: range) -> Iterator[Outcome]:
    """Yield each seed's outcome: even ones damage a run that passes, odd ones one that fails."""
    with tempfile.TemporaryDirectory(prefix="tallystick-fuzz-") as temporary:
        folder = Path(temporary)
        runs = {}
        for status in (Status.PASS, Status.FAIL):
            runs[status] = folder / status.value
            make_run(runs[status], seed=1, status=status)
        for seed in seeds:
            status = Status.FAIL if seed % 2 else Status.PASS
            yield judge_mutation(runs[status], status, seed, folder)


def main() -> None:
    """Carry out a campaign and print what came out; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1, help="The first of them.")
    chosen = parser.parse_args()
    kinds: Counter[tuple[str, str]] = Counter()
    codes: Counter[int] = Counter()
    wrong = []
    for outcome in campaign(range(chosen.seed, chosen.seed + chosen.mutations)):
        kinds[outcome.mutation.how, outcome.mutation.sealed.name.lower()] += 1
        codes[outcome.code] += 1
        if outcome.wrong:
            wrong.append(outcome)
            sys.stdout.write(f"seed {outcome.seed}: {outcome.mutation}: {outcome.wrong}\n")
    for (how, sealed), count in sorted(kinds.items()):
        sys.stdout.write(f"  {how:16} sealed {sealed:7} {count:>6,}\n")
    told = ", ".join(f"{count:,} ended with {code}" for code, count in sorted(codes.items()))
    sys.stdout.write(f"{chosen.mutations:,} mutations: {told}; {len(wrong)} wrong\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
