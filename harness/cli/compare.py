"""`tallystick compare A B`: two results, suites or folders of repeats, side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from harness.cli.reports import Reports
from harness.errors import UsageError
from harness.report.ci import append_page
from harness.report.compare import HEADLINES, METRICS, Allowed
from harness.report.compare import compare as compare_sets
from harness.report.compare_text import lines, markdown
from harness.report.result import Result
from harness.report.stored import load_result, load_suite
from harness.report.writer import RESULT_NAME, SUITE_NAME

_PERCENT = re.compile(r"(?:([a-z][a-z0-9_]*)=)?([0-9]+(?:\.[0-9]+)?)%?")

RESULTS_MAX = 10_000
"""Most results of one side; more is a folder that was named by mistake."""


def compare(
    a: Annotated[Path, typer.Argument(help="A run, a suite or a folder of runs.")],
    b: Annotated[Path, typer.Argument(help="The same, to be held against it.")],
    worse_by: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Exit 4 where B is worse by more: 10% ({', '.join(HEADLINES)}), or METRIC=10%.",
            metavar="[METRIC=]N%",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown_: Annotated[
        Path | None, typer.Option("--markdown", help="Append a page there.", metavar="FILE")
    ] = None,
) -> None:
    """Compare two results: verdicts, checks, counts, latency, throughput, CPU per message.

    A change of a figure counts only where a permutation test tells it from chance: of comparisons
    of equal sides at most 5 % call any figure changed. That takes 4 runs of a scenario per side,
    more for several scenarios; with fewer, it says so and nothing of speed. Ends with 4 if a limit
    of --worse-by is exceeded (a worse verdict, or a scenario of A that B lacks, exceeds any), else
    with 0.
    """
    allowed = parse_allowed(worse_by or [])
    Reports(markdown=markdown_).check()
    of_a, of_b = load_set(a), load_set(b)
    if allowed.any and not _scenarios(of_a) & _scenarios(of_b):
        raise UsageError(
            "a limit needs a scenario that is on both sides: "
            f"{', '.join(sorted(_scenarios(of_a)))} / {', '.join(sorted(_scenarios(of_b)))}"
        )
    found = compare_sets(
        of_a, of_b, allowed,
        names=(str(a), str(b)), broken=(broken_runs(a), broken_runs(b)),
    )  # fmt: skip
    if not found.pairs:
        raise UsageError(
            "nothing in A has one counterpart in B: "
            f"{', '.join(found.only_a)} / {', '.join(found.only_b)}"
        )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for line in lines(found):
            typer.echo(line)
    if markdown_ is not None:
        append_page(markdown_, markdown(found))
    raise typer.Exit(found.exit_code)


def _scenarios(results: list[Result]) -> set[str]:
    return {result.run.scenario for result in results}


def parse_allowed(texts: list[str]) -> Allowed:
    """Return what ``--worse-by`` says.

    Raises:
        UsageError: One is neither ``10%`` nor ``metric=10%`` with a metric that is compared.
    """
    by_metric: dict[str, float] = {}
    headlines: float | None = None
    for text in texts:
        found = _PERCENT.fullmatch(text.replace(" ", ""))
        if found is None:
            raise UsageError(f"--worse-by {text!r}: write 10% or metric=10%")
        metric, percent = found.groups()
        if metric is None:
            headlines = float(percent)
        elif metric in METRICS:
            by_metric[metric] = float(percent)
        else:
            raise UsageError(f"--worse-by {text!r}: one of {', '.join(METRICS)}")
    return Allowed(by_metric=by_metric, headlines=headlines)


def load_set(place: Path) -> list[Result]:
    """Return the results below a place: one run, a suite's, or all in its folders.

    Raises:
        UsageError: There is none.
        DamagedHistory: One cannot be read.
    """
    found = [load_result(path) for path in _result_files(place)]
    if not found:
        raise UsageError(f"{place}: no {RESULT_NAME} there or below")
    return found


def broken_runs(place: Path) -> list[str]:
    """Return the names of a suite's runs that broke at once, and left no result to compare."""
    return [path.parent.name for path in _of_suite(place) if not path.is_file()]


def _of_suite(place: Path) -> list[Path]:
    suite = place / SUITE_NAME if place.is_dir() else place
    if suite.name != SUITE_NAME or not suite.is_file():
        return []
    return [suite.parent / one.result for one in load_suite(suite).scenarios]


def _result_files(place: Path) -> list[Path]:
    if listed := _of_suite(place):
        return [path for path in listed if path.is_file()]
    if place.is_file():
        return [place]
    if (place / RESULT_NAME).is_file():
        return [place / RESULT_NAME]
    below = sorted(
        path
        for pattern in (f"*/{RESULT_NAME}", f"*/*/{RESULT_NAME}")
        for path in place.glob(pattern)
        # "latest" is a link to one of the others.
        if not (place / path.relative_to(place).parts[0]).is_symlink()
    )
    if len(below) > RESULTS_MAX:
        raise UsageError(f"{place}: {len(below)} results, {RESULTS_MAX} at most")
    return below
