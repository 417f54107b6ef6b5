"""`tallystick verify`: every scenario, one verdict, for CI."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import FailFast, Html, Junit, LimitTexts, LoadFiles, Markdown, Repeat
from harness.cli.reports import Reports
from harness.cli.run import folder_for
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
)
from harness.errors import UsageError
from harness.report.untried import beside, count_of, lines
from harness.report.words import counted
from harness.run.fitting import HOW_TO_MARK, fit_scenario, lack_of
from harness.run.lacks import Lacks
from harness.run.planted import refuse_planted
from harness.run.request import REFERENCE_SYSTEM, draw_seed, stamp
from harness.run.requesting import (
    check_keep_history,
    check_seed,
    checked_limits,
    checked_parameters,
    load_files,
)
from harness.scenario.estimate import estimate_s, in_words
from harness.scenario.loader import LoadedScenario, find, load_all
from harness.scenario.suites import suite_of
from harness.systems.port import System
from harness.systems.registry import load_system


def verify(
    profile: Annotated[str, typer.Option(help="smoke, standard or nightly.")] = "standard",
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this scenario; may be repeated.", metavar="NAME"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeats the schedules of load and faults.", metavar="N")
    ] = None,
    system: Annotated[
        str, typer.Option(help="The system under test: a name or module:NAME.")
    ] = REFERENCE_SYSTEM,
    option: Options = None,
    endpoint: EndpointText = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = "",
    allow_remote: AllowRemote = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the suite; new or empty.", metavar="DIR")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and for how long; start nothing.")
    ] = False,
    keep_history: Annotated[str, typer.Option(help="always, on-failure or never.")] = "always",
    repeat: Repeat = 1,
    fail_fast: FailFast = False,
    limit: LimitTexts = None,
    load: LoadFiles = None,
    junit: Junit = None,
    markdown: Markdown = None,
    html: Html = False,
) -> None:
    """Run all scenarios and merge their verdicts: FAIL over ERROR over UNKNOWN over PASS.

    Smoke is short: global_fan_in, hotkey_bucketing, offline_messaging, rebucket_under_fire, with
    small values, in about 80 s. Standard runs all of them in under 12 minutes, nightly all of them
    for hours. `--dry-run` and `tallystick list` say about how long.

    Ends with 0 PASS, 1 FAIL, 2 wrong usage, 3 UNKNOWN, 4 PASS with limits missed, 70 ERROR.
    """
    files = load_files(load or [])
    system = place_of(
        system, option or [], endpoint=endpoint, user=user, password=password, token=token,
        ca_file=ca_file, allow_remote=allow_remote,
    )  # fmt: skip
    places = [name.strip() for text in only or [] for name in text.split(",")]
    chosen = [(place, find(place)) for place in places] or [
        (loaded.scenario.name, loaded) for loaded in suite_of(profile, load_all())
    ]
    names = [loaded.scenario.name for _, loaded in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two scenarios are named {twice[0]!r}: each has a folder of its own")
    under_test = load_system(system)
    for _, loaded in chosen:
        parameters = checked_parameters(loaded, profile, {})
        refuse_planted(under_test, loaded.scenario.plan_for(parameters))
    check_keep_history(keep_history)
    limits = checked_limits(limit or [])
    reports = Reports(junit=junit, markdown=markdown, html=html).check()
    reasons = [_why_not(loaded, profile, under_test, system) for _, loaded in chosen]
    for text in limits:
        if lost := Lacks(under_test, system).unmeasured(text):
            raise UsageError(f"{lost.what} has nothing to be measured by: {lost.why}")
    runnable = [one for one, reason in zip(chosen, reasons, strict=True) if not reason]
    skipped = [
        (loaded, reason) for (_, loaded), reason in zip(chosen, reasons, strict=True) if reason
    ]
    if dry_run:
        _show(profile, [loaded for _, loaded in runnable], repeat, under_test, system)
        for loaded, reason in skipped:
            typer.echo(f"not applicable to {under_test.name}: {loaded.scenario.name}: {reason}")
        if not runnable:
            raise UsageError(f"no scenario applies to {under_test.name}")
        return
    suite_seed = draw_seed() if seed is None else check_seed(seed)
    suite_dir = folder_for(f"{stamp()}-verify-{suite_seed}", out)
    job = SuiteJob(
        suite_dir=suite_dir,
        suite=new_suite(suite_dir, profile, suite_seed),
        keep_history=keep_history,
        limits=limits,
        files=files,
        stop_at_failure=fail_fast,
        reports=reports,
    )
    for loaded, reason in skipped:
        job.skip(loaded, reason)
    sys.stderr.write(f"seed {suite_seed}, results in {suite_dir}\n")
    others = [draw_seed() if seed is None else seed for _ in range(repeat - 1)]
    raise typer.Exit(job.run_all(_rounds(runnable, system, [suite_seed, *others])))


def _show(
    profile: str, chosen: list[LoadedScenario], repeat: int, under_test: System, place: str
) -> None:
    total_s = 0.0
    for loaded in chosen:
        parameters = checked_parameters(loaded, profile, {})
        fitted = fit_scenario(loaded.scenario, parameters, under_test, place=place)
        length_s = estimate_s(fitted.plan)
        total_s += length_s * repeat
        left = beside(count_of(fitted.not_tried))
        told = f"; {left}" if left else ""
        typer.echo(f"{loaded.scenario.name:<24} {in_words(length_s)}{told}")
        for line in lines(fitted.not_tried):
            typer.echo(f"  not tried: {line}")
    times = f", {repeat} times" if repeat > 1 else ""
    typer.echo(f"\n{profile}: {counted(len(chosen), 'scenario')}{times}, {in_words(total_s)}")


def _rounds(
    runnable: list[tuple[str, LoadedScenario]], system: str, seeds: list[int]
) -> list[Planned]:
    """Return every scenario once per seed, round by round, so that a slow hour hits all alike."""
    return [
        Planned(
            loaded=loaded,
            place=place,
            folder=loaded.scenario.name if len(seeds) == 1 else f"{loaded.scenario.name}-{number}",
            seed=seed,
            system=system,
        )
        for number, seed in enumerate(seeds, start=1)
        for place, loaded in runnable
    ]


def _why_not(loaded: LoadedScenario, profile: str, under_test: System, place: str) -> str:
    """Return why the system cannot be put through a scenario, "" if it can."""
    if lack := lack_of(loaded.scenario, under_test):
        return lack
    try:
        parameters = checked_parameters(loaded, profile, {})
        fit_scenario(loaded.scenario, parameters, under_test, place=place)
    except UsageError as error:
        # In a list of scenarios a reason is one paragraph.
        first, *lines = str(error).removesuffix(HOW_TO_MARK).strip().splitlines()
        listed = "; ".join(line.strip() for line in lines)
        return f"{first} {listed}" if listed else first
    return ""
