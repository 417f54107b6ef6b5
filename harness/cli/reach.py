"""`tallystick reach`: which rare states a run or a suite came to."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError
from harness.reach.catalogue import CATALOGUE, LEFT_OUT, states_of
from harness.report.reach import count, of_ones_own
from harness.report.result import Result
from harness.report.stored import load_result, load_suite
from harness.report.terminal import make_console, make_table, print_table
from harness.report.writer import RESULT_NAME, SUITE_NAME


def reach(
    result: Annotated[
        Path, typer.Argument(help="A run or suite folder, or its result.json or suite.json.")
    ],
    never: Annotated[bool, typer.Option("--never", help="Only what was never reached.")] = False,
) -> None:
    """Tell how often each rare state was reached; `-` is one that never was.

    Counts are lower bounds: a process that is killed takes along what it had not told yet.
    `explain STATE` says what a state is.
    """
    results = _results_of(result.parent if result.is_file() else result)
    systems = frozenset(one.system.name for one in results)
    reached: Counter[str] = Counter()
    for one in results:
        reached.update(one.reached)
    table = make_table("state", "reached", "what it is")
    states = states_of(systems)
    for state in states:
        if not (never and reached[state.name]):
            table.add_row(state.name, count(reached, state.name), state.meaning)
    for name in sorted(LEFT_OUT):
        if reached[name] and not never:
            table.add_row(name, count(reached, name), "not expected of any suite")
    for name in of_ones_own(reached):
        if not never:
            table.add_row(name, count(reached, name), "not in the catalogue")
    console = make_console(sys.stdout, stderr_width=120)
    print_table(console, table)
    missed = sum(not reached[state.name] for state in states)
    typer.echo(f"\n{len(states) - missed} of {len(states)} rare states were reached", nl=False)
    other = len(CATALOGUE) - len(states)
    typer.echo(f"; {other} are other systems'" if other else "")


def _results_of(folder: Path) -> list[Result]:
    """Return the result of a run, or those of a suite.

    Raises:
        UsageError: There is none.
    """
    if (folder / SUITE_NAME).is_file():
        suite = load_suite(folder / SUITE_NAME)
        places = [folder / one.result for one in suite.scenarios]
        found = [load_result(place) for place in places if place.is_file()]
    elif (folder / RESULT_NAME).is_file():
        found = [load_result(folder / RESULT_NAME)]
    else:
        raise UsageError(f"{folder}: no {RESULT_NAME} or {SUITE_NAME} there")
    if not found:
        raise UsageError(f"{folder}: none of its runs has a result")
    return found
