"""`tallystick list` and `tallystick show`: what there is to run."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from harness.cli.paragraph import paragraph
from harness.errors import UsageError
from harness.report.explain import ENTRIES
from harness.scenario.estimate import estimate_s, in_words
from harness.scenario.loader import LoadedScenario, find, load_all
from harness.scenario.parameters import PROFILES, Parameter
from harness.scenario.suites import plan_of, suite_of


def list_scenarios(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    faults: Annotated[
        bool, typer.Option("--faults", help="List the faults instead, with their parameters.")
    ] = False,
    systems: Annotated[
        bool,
        typer.Option("--systems", help="List the systems instead, and what each lacks to run."),
    ] = False,
) -> None:
    """List the scenarios, faults or systems of Tallystick and of installed packages."""
    if faults and systems:
        raise UsageError("--faults and --systems: one list at a time")
    if systems:
        from harness.cli.system_list import print_systems

        print_systems(as_json=as_json)
        return
    if faults:
        from harness.cli.fault_list import print_faults

        print_faults(as_json=as_json)
        return
    found = list(load_all())
    if as_json:
        typer.echo(json.dumps([_brief(loaded) for loaded in found], indent=2))
        return
    for loaded in found:
        typer.echo(loaded.scenario.name)
        paragraph(loaded.scenario.claim, 2)
        paragraph(_lengths(loaded), 2)
    for profile in PROFILES:
        suite = suite_of(profile, found)
        total_s = sum(estimate_s(plan_of(loaded, profile)) for loaded in suite)
        names = "all" if len(suite) == len(found) else ", ".join(s.scenario.name for s in suite)
        typer.echo()
        paragraph(f"verify --profile {profile}, {in_words(total_s)}: {names}.")
    typer.echo("\nRun one with `tallystick run NAME`, a file of your own with `run ./FILE.py`.")


def _lengths(loaded: LoadedScenario) -> str:
    lengths = [
        f"{in_words(estimate_s(plan_of(loaded, profile)))} {profile}" for profile in PROFILES
    ]
    return f"({', '.join(lengths)})"


def show(
    scenario: Annotated[
        str, typer.Argument(help="A name, a file (./late_login.py) or package.module:NAME.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a scenario: its claim, method, parameters with units and defaults, and checks."""
    loaded = find(scenario)
    if as_json:
        typer.echo(json.dumps(_full(loaded), indent=2))
        return
    one = loaded.scenario
    typer.echo(f"{one.name} ({loaded.source})\n")
    paragraph(f"Claim: {one.claim}")
    for part in loaded.doc.split("\n\n"):
        typer.echo()
        paragraph(part)
    if one.parameters:
        typer.echo(f"\nParameters (--set name=value; defaults: {', '.join(PROFILES)}):")
    for parameter in one.parameters:
        defaults = ", ".join(_text(parameter.value_for(profile)) for profile in PROFILES)
        typer.echo(f"  {parameter.name} [{parameter.unit or 'no unit'}]: {defaults}")
        paragraph(f"{parameter.help} Allowed: {parameter.describe_allowed()}.", 6)
    if one.checks:
        typer.echo("\nChecks that carry the claim (all others are made too):")
        paragraph(", ".join(map(_check_name, one.checks)), 2)
    if one.optional_checks:
        typer.echo("\nChecks that carry it where a system promises what they judge:")
        paragraph(", ".join(map(_check_name, one.optional_checks)), 2)
    if one.needs:
        typer.echo(f"\nNeeds a system that can: {', '.join(sorted(one.needs))}")
    for profile in PROFILES:
        limits = _limits(loaded, profile)
        if limits:
            typer.echo()
            paragraph(f"Limits ({profile}): {'; '.join(limits)}")


def _check_name(check_id: str) -> str:
    """Return a check's id and name; one of a user's own is known when its file is loaded."""
    entry = ENTRIES.get(check_id)
    return f"{check_id} {entry.name}" if entry else f"{check_id} (of your own: --load its file)"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _limits(loaded: LoadedScenario, profile: str) -> list[str]:
    plan = plan_of(loaded, profile)
    return [*plan.limits, *(f"{text} (optional)" for text in plan.optional_limits)]


def _brief(loaded: LoadedScenario) -> dict[str, Any]:
    return {
        "name": loaded.scenario.name,
        "claim": loaded.scenario.claim,
        "source": loaded.source,
        "smoke": loaded.scenario.smoke,
        "estimated_s": {
            profile: round(estimate_s(plan_of(loaded, profile))) for profile in PROFILES
        },
    }


def _full(loaded: LoadedScenario) -> dict[str, Any]:
    one = loaded.scenario
    return {
        **_brief(loaded),
        "doc": loaded.doc,
        "needs": sorted(one.needs),
        "checks": list(one.checks),
        "optional_checks": list(one.optional_checks),
        "parameters": [_parameter(parameter) for parameter in one.parameters],
        "limits": {profile: _limits(loaded, profile) for profile in PROFILES},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": type(parameter.default).__name__,
        "unit": parameter.unit,
        "help": parameter.help,
        "defaults": {profile: parameter.value_for(profile) for profile in PROFILES},
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "choices": list(parameter.choices),
    }
