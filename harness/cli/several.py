"""`tallystick run SCENARIO --system a,b,c`: the same load and faults on each system, in turn."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text

from harness.cli.suite import Planned, SuiteJob
from harness.errors import UsageError
from harness.report.codec import decode_result
from harness.report.result import Result, Status
from harness.report.side_by_side import HEAD, Ran, as_markdown, rows
from harness.report.terminal import make_console, make_table, print_table
from harness.report.writer import RESULT_NAME
from harness.systems.places import split_places

TABLE_NAME = "systems.md"
"""The table, in the folder of the runs."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.=-]")


def split_systems(text: str) -> list[str]:
    """Return the systems that a comma separates.

    Raises:
        UsageError: One is empty or named twice.
    """
    places = split_places(text)
    if len(set(places)) < len(places) or not all(places):
        raise UsageError(f"--system {text!r}: names with a comma between them, each once")
    return places


def on_all(plan: Planned, systems: Sequence[str], seeds: Sequence[int]) -> list[Planned]:
    """Return a run of every system for each seed, round by round: a slow hour hits all alike."""
    return [
        replace(plan, folder=_folder(system, number, len(seeds)), system=system, seed=seed)
        for number, seed in enumerate(seeds, start=1)
        for system in systems
    ]


def _folder(system: str, number: int, rounds: int) -> str:
    plain = _NOT_PLAIN.sub("_", system)
    return plain if rounds == 1 else f"{plain}-{number}"


def run_on_all(planned: Sequence[Planned], job: SuiteJob) -> int:
    """Carry out the runs, print and write the table of their systems, and return the exit code.

    Each run is judged by its own system's promises; the worst verdict is that of all.
    """
    code = job.run_all(planned)
    ran = _by_system(planned, job)
    (job.suite_dir / TABLE_NAME).write_text(as_markdown(ran))
    # Systems side by side and figures below one another: that fits a narrow terminal.
    figures = [HEAD, *rows(ran)]
    table = make_table(*(column[0] for column in figures))
    for index in range(1, len(HEAD)):
        table.add_row(*(Text(column[index]) for column in figures))
    print_table(make_console(sys.stdout), table)
    return code


def _by_system(planned: Sequence[Planned], job: SuiteJob) -> dict[str, Ran]:
    """Gather what ended, by system; a run that broke has a verdict and no figures."""
    statuses = {one.result: one.status for one in job.suite.scenarios}
    found: dict[str, tuple[list[Status], list[Result]]] = {}
    for one in planned:
        name = f"{one.folder}/{RESULT_NAME}"
        if name not in statuses:
            continue
        of_system, results = found.setdefault(one.system, ([], []))
        of_system.append(statuses[name])
        path = job.suite_dir / name
        if path.is_file() and (result := decode_result(path.read_bytes())).complete:
            results.append(result)
    return {
        system: Ran(statuses=of_system, results=results)
        for system, (of_system, results) in found.items()
    }
