"""`tallystick selftest`: is what the checks claim to see really seen?"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from harness.cli.paragraph import paragraph
from harness.cli.reports import see_writable
from harness.cli.run import folder_for
from harness.cli.signals import under_signals
from harness.errors import UsageError
from harness.provision.toxiproxy import ensure
from harness.report.terminal import make_console
from harness.report.words import counted
from harness.report.writer import write_atomically
from harness.run.request import stamp
from harness.run.requesting import check_seed
from harness.scenario.loader import find

SEED = 20_251
"""The seed of every run unless another is asked for."""

REPORT_NAME = "selftest.json"

EXIT_ESCAPED = 1
"""A bug was not found, or the reference raised an alarm without one."""


def selftest(
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this bug; may be repeated.", metavar="NAME"),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the bugs and the checks that may name them.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the report to this file too.", metavar="FILE")
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Runs at the same time; each is six processes.", min=1, max=8)
    ] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folders of all runs, not only of escapes.")
    ] = False,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="Plant into this one instead of the bugs' own, profile smoke.", metavar="PLACE"
        ),
    ] = None,
    suite: Annotated[
        bool,
        typer.Option("--suite", help="Plant into the scenarios of the smoke suite instead."),
    ] = False,
    seed: Annotated[int, typer.Option(help="The seed of every run.", metavar="N")] = SEED,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the self-test; new or empty.", metavar="DIR")
    ] = None,
) -> None:
    """Plant one bug after the other into the reference, and see a check name it.

    A green verdict means something only if the checks see what they claim to see. Each planted
    bug replaces one part of the reference when its process starts; a small scenario runs over real
    processes and Toxiproxy (over a disk that loses power where a kill cannot show the bug); and one
    of the checks that the bug's entry names must fail. Every scenario runs once without a bug
    first and must PASS, so a FAIL is due to the bug.

    \b
    Examples:
      tallystick selftest                        all of them, minutes
      tallystick selftest --list                 which there are
      tallystick selftest --only no-dedup        one, and its baseline
      tallystick selftest --only no-dedup --keep its run stays to look at
      tallystick selftest --only no-dedup --scenario ./mine.py
                                                 would a scenario of yours find it?
      tallystick selftest --suite                which of them does `verify --profile smoke` find?

    With --suite a bug has been found as soon as a scenario says FAIL, by whichever check, and the
    others are not run for it.

    Ends with 0 when every bug was found and no baseline raised an alarm, 1 when one escaped or
    an alarm was false, 2 wrong usage, 70 ERROR. The report is selftest.json in the folder.
    """  # noqa: D301 - the character that keeps typer from filling the examples
    # The registry imports the whole reference and its simulator, which no other verb needs.
    from harness.selftest.campaign import campaign, report_of
    from harness.selftest.suite import suite_campaign
    from harness.selftest.table import line_of, print_report
    from harness.selftest.trial import Seen
    from harness.testing.bugs.registry import Trial, all_bugs, find_bug

    try:
        names = [name for text in only or [] for name in text.split(",") if name]
        bugs = [find_bug(name) for name in names] or list(all_bugs().values())
    except KeyError as error:
        raise UsageError(str(error.args[0])) from None
    if scenario is not None:
        if suite:
            raise UsageError("--suite names scenarios itself: leave --scenario out")
        find(scenario)
        bugs = [replace(bug, trial=Trial(scenario=scenario)) for bug in bugs]
    if list_:
        for bug in bugs:
            typer.echo(f"{bug.name}  {bug.category}, {bug.place}: {' '.join(bug.named_by)}")
            paragraph(bug.summary, 4)
            paragraph(f"{bug.trial}, {bug.medium}", 4)
        return
    check_seed(seed)
    see_writable("--json", json)
    ensure(_say)
    folder = folder_for(f"{stamp()}-selftest-{seed}", out)
    sys.stderr.write(f"seed {seed}, {counted(len(bugs), 'bug')}, results in {folder}\n")
    begun = time.monotonic()
    so_far: list[Seen] = []

    def tell(seen: Seen, done: int, wanted: int) -> None:
        so_far.append(seen)
        _say(line_of(seen, done, wanted))

    async def work() -> list[Seen]:
        run_all = suite_campaign if suite else campaign
        return await run_all(bugs, seed=seed, folder=folder, keep=keep, jobs=jobs, tell=tell)

    ended = under_signals(work)
    complete = ended.value is not None
    seen = so_far if ended.value is None else ended.value
    report = report_of(seed, seen, time.monotonic() - begun, complete=complete, suite=suite)
    data = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    write_atomically(folder / REPORT_NAME, data)
    if json is not None:
        json.write_bytes(data)
    print_report(make_console(sys.stdout), report)
    if ended.interrupted_by is not None:
        raise typer.Exit(ended.interrupted_by)
    raise typer.Exit(0 if report.passed else EXIT_ESCAPED)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
