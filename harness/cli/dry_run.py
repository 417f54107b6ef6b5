"""`--dry-run`: the plan as it applies to a system, before anything is started."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import typer

from harness.errors import UsageError
from harness.report import drawn
from harness.report.untried import lines
from harness.run.fitting import Fitted, fit_scenario
from harness.run.remarks import remarks
from harness.scenario.loader import LoadedScenario
from harness.scenario.parameters import Parameters
from harness.scenario.performed import schedules_in
from harness.systems.registry import load_system

WIDTH = 80


def show_plan(
    loaded: LoadedScenario, parameters: Parameters, profile: str, seed: int, systems: list[str]
) -> None:
    """Print the plan of a run, system by system: what applies, what is left out, what is refused.

    Raises:
        UsageError: One of the systems is refused; all of them are told first.
    """
    typer.echo(f"{loaded.scenario.name}, {profile}, seed {seed}")
    for name, value in parameters.as_dict().items():
        typer.echo(f"  {name} = {value}")
    refused: list[str] = []
    for place in systems:
        typer.echo(f"\nSystem: {place}")
        try:
            fitted = fit_scenario(loaded.scenario, parameters, load_system(place), place=place)
        except UsageError as error:
            if len(systems) == 1:
                raise
            refused.append(place)
            typer.echo(textwrap.indent(f"refused: {error}", "  "))
        else:
            _show(fitted)
    if refused:
        raise UsageError(f"refused on {', '.join(refused)}; see above")


def _show(fitted: Fitted) -> None:
    plan = fitted.plan
    typer.echo(f"Edges: {', '.join(plan.topology.edges)}\nPhases:")
    for phase in plan.phases:
        typer.echo(
            textwrap.fill(
                repr(phase), WIDTH, initial_indent="  ", subsequent_indent="      ",
                break_on_hyphens=False,
            )
        )  # fmt: skip
    typer.echo("Faults, by the time after the begin of their phase:")
    planned = [
        item
        for faults in schedules_in(plan.phases)
        for item in sorted(faults, key=lambda one: one.at_s)
    ]
    for item in planned:
        typer.echo(f"  {item}")
    if not planned:
        typer.echo("  none")
    if plan.limits:
        typer.echo(f"Limits: {'; '.join(plan.limits)}")
    show_not_tried(fitted)
    if fitted.drawn:
        typer.echo("Drawn by the seed beside the plan (it is in the phases above):")
    _show_lines(drawn.lines(fitted.drawn))
    for line in remarks(plan):
        typer.echo(textwrap.fill(f"Note: {line}", WIDTH, subsequent_indent="      "))


def show_not_tried(fitted: Fitted) -> None:
    """Print what is left out, a line for each reason; nothing if that is nothing."""
    if fitted.not_tried:
        typer.echo("Not tried, though planned (all of it is optional):")
    _show_lines(lines(fitted.not_tried))


def _show_lines(texts: Iterable[str]) -> None:
    for text in texts:
        typer.echo(
            textwrap.fill(
                text, WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
            )
        )
