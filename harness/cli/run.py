"""`tallystick run`: one scenario, from its name to its verdict."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.dry_run import show_plan
from harness.cli.options import (
    REPEAT_MAX,
    FailFast,
    Html,
    Junit,
    LimitTexts,
    LoadFiles,
    Markdown,
    Repeat,
    UntilFail,
)
from harness.cli.reports import Reports
from harness.cli.several import on_all, run_on_all, split_systems
from harness.cli.signals import under_signals
from harness.cli.suite import Planned, SuiteJob, new_suite
from harness.cli.under_test import (
    AllowRemote,
    CaFile,
    EndpointText,
    Options,
    Password,
    Token,
    User,
    place_of,
    shown_command,
)
from harness.errors import HarnessError, UsageError
from harness.report.live import watching
from harness.report.result import Result
from harness.report.terminal import make_console, print_result
from harness.report.words import counted
from harness.run.carry_out import carry_out, mark_interrupted
from harness.run.fitting import fit_scenario
from harness.run.request import (
    REFERENCE_SYSTEM,
    RunOutcome,
    RunRequest,
    draw_seed,
    new_folder,
    stamp,
)
from harness.run.requesting import (
    check_keep_history,
    check_seed,
    checked_limits,
    checked_parameters,
    load_files,
    make_request,
    parse_assignments,
)
from harness.run.verdict import broken
from harness.scenario.loader import find
from harness.systems.registry import load_system


def run(
    scenario: Annotated[
        str, typer.Argument(help="A name, a file (./late_login.py) or package.module:NAME.")
    ],
    seed: Annotated[
        int | None, typer.Option(help="Repeats the schedules of load and faults.", metavar="N")
    ] = None,
    profile: Annotated[str, typer.Option(help="smoke, standard or nightly.")] = "standard",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    system: Annotated[
        str,
        typer.Option(help="The system under test: a name or module:NAME; several: a,b,c."),
    ] = REFERENCE_SYSTEM,
    option: Options = None,
    endpoint: EndpointText = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = "",
    allow_remote: AllowRemote = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; new or empty.", metavar="DIR")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the plan and the faults, as fitted to each system; start nothing.",
        ),
    ] = False,
    keep_history: Annotated[str, typer.Option(help="always, on-failure or never.")] = "always",
    repeat: Repeat = 1,
    until_fail: UntilFail = False,
    fail_fast: FailFast = False,
    limit: LimitTexts = None,
    load: LoadFiles = None,
    junit: Junit = None,
    markdown: Markdown = None,
    html: Html = False,
) -> None:
    """Run one scenario and judge it.

    Ends with 0 PASS, 1 FAIL, 2 wrong usage, 3 UNKNOWN, 4 PASS with limits missed, 70 ERROR.
    """
    files = load_files(load or [])
    system = place_of(
        system, option or [], endpoint=endpoint, user=user, password=password, token=token,
        ca_file=ca_file, allow_remote=allow_remote,
    )  # fmt: skip
    loaded = find(scenario)
    assignments = parse_assignments(set_ or [])
    chosen = draw_seed() if seed is None else check_seed(seed)
    parameters = checked_parameters(loaded, profile, assignments, chosen)
    check_keep_history(keep_history)
    limits = checked_limits(limit or [])
    systems = split_systems(system)
    if dry_run:
        show_plan(loaded, parameters, profile, chosen, systems)
        return
    for one in systems:
        fit_scenario(loaded.scenario, parameters, load_system(one), place=one, limits=limits)
    reports = Reports(junit=junit, markdown=markdown, html=html).check()
    if until_fail and repeat == 1:
        repeat = REPEAT_MAX
    if repeat > 1 or len(systems) > 1:
        plan = Planned(
            loaded=loaded,
            place=scenario,
            folder="",
            seed=chosen,
            assignments=assignments,
            system=system,
        )
        kind = "systems" if len(systems) > 1 else "repeated"
        suite_dir = folder_for(f"{stamp()}-{loaded.scenario.name}-{chosen}-{kind}", out)
        job = SuiteJob(
            suite_dir=suite_dir,
            suite=new_suite(suite_dir, profile, chosen),
            keep_history=keep_history,
            limits=limits,
            files=files,
            stop_at_failure=until_fail or fail_fast,
            reports=reports,
        )
        sys.stderr.write(
            f"{counted(repeat * len(systems), 'run')} at most, results in {suite_dir}\n"
        )
        seeds = [chosen, *(draw_seed() if seed is None else chosen for _ in range(repeat - 1))]
        if len(systems) > 1:
            raise typer.Exit(run_on_all(on_all(plan, systems, seeds), job))
        raise typer.Exit(job.run_all(_repeats(plan, seeds)))
    request = make_request(
        loaded,
        scenario,
        profile=profile,
        seed=chosen,
        assignments=assignments,
        system=system,
        run_dir=folder_for(f"{stamp()}-{loaded.scenario.name}-{chosen}", out),
        command=shown_command(sys.argv[1:]),
        keep_history=keep_history,
        limits=limits,
        files=files,
        charts=html,
    )
    raise typer.Exit(run_and_report(request, reports))


def _repeats(plan: Planned, seeds: Sequence[int]) -> Iterator[Planned]:
    name = plan.loaded.scenario.name
    for number, seed in enumerate(seeds, start=1):
        yield replace(plan, folder=f"{name}-{number}", seed=seed)


def folder_for(name: str, out: Path | None) -> Path:
    """Return a new folder for a run or suite.

    Raises:
        UsageError: `out` is taken or cannot be made.
    """
    try:
        folder = new_folder(name, out)
    except OSError as error:
        raise UsageError(f"--out: {error}; name a new or empty folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--out: {folder} cannot be written to")
    return folder


def run_and_report(request: RunRequest, reports: Reports) -> int:
    """Carry a run out, print its report, and return its exit code."""
    sys.stderr.write(f"seed {request.seed}, results in {request.run_dir}\n")
    name = request.loaded.scenario.name

    async def work() -> RunOutcome:
        return await carry_out(request, observer)

    with watching(sys.stderr, f"{name}, seed {request.seed}") as observer:
        try:
            ended = under_signals(work)
        except (UsageError, HarnessError) as error:
            reports.add_broken(name, name, broken(str(error)), 0.0)
            reports.write_run()
            raise
    if ended.value is not None:
        result: Result | None = ended.value.result
        code = ended.value.result.verdict.exit_code
    else:
        code = ended.interrupted_by or 0
        result = mark_interrupted(request.run_dir, code)
    if result is not None:
        reports.add(name, result, request.run_dir)
        reports.write_run()
        print_result(make_console(sys.stdout), result, request.run_dir)
    return code
