"""`tallystick replay`: a stored run once more, with its exact schedule of faults."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.reports import Reports
from harness.cli.run import folder_for, run_and_report
from harness.cli.under_test import shown_command
from harness.errors import UsageError
from harness.report.stored import load_result, run_folder
from harness.report.writer import RESULT_NAME
from harness.run.brief import read_brief
from harness.run.fitting import fit_scenario
from harness.run.replay import INTERLEAVING, changes_since, schedules_of
from harness.run.request import stamp
from harness.run.requesting import check_keep_history, load_files, make_request
from harness.scenario.loader import find
from harness.systems.registry import load_system


def replay(
    result: Annotated[Path, typer.Argument(help="The folder of a run, or its result.json.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new run; new or empty.", metavar="DIR")
    ] = None,
    keep_history: Annotated[str, typer.Option(help="always, on-failure or never.")] = "always",
) -> None:
    """Run a stored run again: its scenario, seed, parameters and exact schedule of faults.

    Real processes are run, so this repeats the schedule of load and faults, not the interleaving:
    threads, packets and commits may fall otherwise, and a rare failure may not come again. If the
    scenario has changed since, a note says so.

    Ends as `run` does: 0 PASS, 1 FAIL, 2 wrong usage, 3 UNKNOWN, 4 limits missed, 70 ERROR.
    """
    check_keep_history(keep_history)
    # `latest` points elsewhere as soon as another run begins, this one included.
    folder = _real(run_folder(result))
    stored, brief = load_result(folder / RESULT_NAME), read_brief(folder)
    if stored.system.planted_bug:
        raise UsageError(
            f"{folder} was made with the planted bug {stored.system.planted_bug!r};"
            " `tallystick selftest` repeats it"
        )
    if not brief.place:
        raise UsageError(
            f"{folder} does not say where its scenario came from (an older run); try:"
            f" {stored.run.repeat_command}"
        )
    files = load_files(brief.files)
    loaded = find(brief.place)
    request = make_request(
        loaded,
        brief.place,
        profile=stored.run.profile,
        seed=stored.run.seed,
        assignments={name: str(value) for name, value in stored.run.parameters.items()},
        system=brief.system,
        run_dir=folder,
        command=shown_command(sys.argv[1:]),
        keep_history=keep_history,
        limits=tuple(brief.limits),
        files=files,
    )
    schedules = schedules_of(brief)
    fitted = fit_scenario(
        loaded.scenario,
        request.parameters,
        load_system(brief.system),
        place=brief.system,
        schedules=schedules,
    )
    changed = changes_since(brief, fitted.plan, loaded.source_sha256)
    notes = (f"replay of {folder}: {INTERLEAVING}", *changed)
    for note in notes:
        sys.stderr.write(f"{note}\n")
    name = f"{stamp()}-{loaded.scenario.name}-{request.seed}-replay"
    request = replace(
        request,
        run_dir=folder_for(name, out),
        faults=schedules,
        replays=str(folder),
        notes=notes,
    )
    raise typer.Exit(run_and_report(request, Reports(junit=None, markdown=None).check()))


def _real(folder: Path) -> Path:
    """Return a folder without links, from here if it lies below."""
    real, here = folder.resolve(), Path.cwd().resolve()
    return real.relative_to(here) if real.is_relative_to(here) else real
