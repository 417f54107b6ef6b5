"""`tallystick report`: one HTML page of a run or a suite, from what it left behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError
from harness.history.index import INDEX_NAME
from harness.history.reader import read_folder, read_folder_placed
from harness.report.html import REPORT_NAME, Page, require_plotly, run_report, suite_report
from harness.report.html_parts import told_messages
from harness.report.result import Result
from harness.report.series import Series, read_series, series_of
from harness.report.stored import load_result, load_suite
from harness.report.story import Story, parse_message, stories
from harness.report.terminal import make_console, print_result, print_suite
from harness.report.writer import RESULT_NAME, SUITE_NAME, write_atomically

HISTORY_FOLDER = "history"


def report(
    result: Annotated[
        Path, typer.Argument(help="A run or suite folder, or its result.json or suite.json.")
    ],
    out: Annotated[
        Path | None, typer.Option(help=f"Instead of {REPORT_NAME} in its folder.", metavar="FILE")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print all that a run found, as text; make no page.")
    ] = False,
) -> None:
    """Make one self-contained HTML page of a run or a suite; it fetches nothing."""
    folder = result.parent if result.name in (RESULT_NAME, SUITE_NAME) else result
    if everything:
        _print_all(folder)
        return
    require_plotly()
    path = write_report(folder, out)
    typer.echo(str(path))


def _print_all(folder: Path) -> None:
    """Print a run, or each run of a suite, with the witnesses of every check that failed."""
    console = make_console(sys.stdout)
    if (folder / SUITE_NAME).is_file():
        suite = load_suite(folder / SUITE_NAME)
        for one in suite.scenarios:
            place = folder / one.result
            if place.is_file():
                print_result(console, load_result(place), place.parent, everything=True)
        print_suite(console, suite, folder)
    elif (folder / RESULT_NAME).is_file():
        print_result(console, load_result(folder / RESULT_NAME), folder, everything=True)
    else:
        raise UsageError(f"{folder}: no {RESULT_NAME} or {SUITE_NAME} there")


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write the report of a run or suite folder and return its path.

    Raises:
        UsageError: There is no result in the folder, or Plotly is not installed.
        DamagedHistory: A file of it is damaged.
    """
    if (folder / SUITE_NAME).is_file():
        suite = load_suite(folder / SUITE_NAME)
        pages = [
            _page(one.result.partition("/")[0], folder / one.result)
            for one in suite.scenarios
            # A run that broke at once left no result.
            if (folder / one.result).is_file()
        ]
        text = suite_report(suite, pages)
    elif (folder / RESULT_NAME).is_file():
        text = run_report(_page(folder.name, folder / RESULT_NAME))
    else:
        raise UsageError(f"{folder}: no {RESULT_NAME} or {SUITE_NAME} there")
    path = out or folder / REPORT_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomically(path, text.encode())


def _page(label: str, path: Path) -> Page:
    result = load_result(path)
    return Page(
        label=label,
        result=result,
        series=_series(path.parent, result),
        run_dir=str(path.parent),
        stories=_stories(path.parent, result),
    )


def _stories(run_dir: Path, result: Result) -> dict[str, Story]:
    """Return the ways of the messages of the witnesses that are shown, as far as they are known."""
    names = told_messages(result)
    if not names or not (run_dir / HISTORY_FOLDER / INDEX_NAME).is_file():
        return {}
    asked = [parse_message(name) for name in names]
    told = stories(lambda: read_folder_placed(run_dir / HISTORY_FOLDER), asked, result.senders)
    return dict(zip(names, told, strict=True))


def _series(run_dir: Path, result: Result) -> Series | None:
    """Return the history in columns; None where it was not kept or was cut off."""
    if not (run_dir / HISTORY_FOLDER / INDEX_NAME).is_file():
        return read_series(run_dir)
    return series_of(read_folder(run_dir / HISTORY_FOLDER), result.run.duration_s)
