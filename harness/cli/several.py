"""`tallystick run SCENARIO --system a,b,c`: the same load and faults on each system, in turn."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from harness.cli.suite import Planned, SuiteJob
from harness.errors import UsageError
from harness.report.codec import decode_result
from harness.report.result import Result
from harness.report.side_by_side import HEAD, as_markdown, rows
from harness.report.terminal import make_console
from harness.report.writer import RESULT_NAME

TABLE_NAME = "systems.md"
"""The table, in the folder of the runs."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.=-]")


def split_systems(text: str) -> list[str]:
    """Return the systems that a comma separates.

    Raises:
        UsageError: One is empty or named twice.
    """
    places = text.split(",")
    if len(set(places)) < len(places) or not all(places):
        raise UsageError(f"--system {text!r}: names with a comma between them, each once")
    return places


def run_on_all(systems: Sequence[str], plan: Planned, job: SuiteJob) -> int:
    """Run one plan on each system, print and write the table, and return the exit code.

    Each run is judged by its own system's promises; the worst verdict is that of all.
    """
    planned = [
        replace(plan, folder=_NOT_PLAIN.sub("_", system), system=system) for system in systems
    ]
    code = job.run_all(planned)
    results: dict[str, Result] = {}
    for one in planned:
        path = job.suite_dir / one.folder / RESULT_NAME
        if path.is_file():
            results[one.system] = decode_result(path.read_bytes())
    (job.suite_dir / TABLE_NAME).write_text(as_markdown(results))
    # Systems side by side and figures below one another: that fits a narrow terminal.
    figures = [HEAD, *rows(results)]
    table = Table(*(column[0] for column in figures), show_edge=False, pad_edge=False)
    for index in range(1, len(HEAD)):
        table.add_row(*(Text(column[index]) for column in figures))
    make_console(sys.stdout).print(table)
    return code
