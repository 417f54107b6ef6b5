"""`tallystick list --systems`: what can be put under test, what it needs, what it promises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import typer

from harness.cli.paragraph import paragraph
from harness.errors import UsageError
from harness.provision.doctor import Finding, State
from harness.systems.broker.settings import ENDPOINT_OPTIONS
from harness.systems.port import Configurable
from harness.systems.programs import examine_system
from harness.systems.registry import load_system, names


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One system as it is listed; `lacks` says why it cannot be run as it is, "" if it can."""

    name: str
    version: str = ""
    client: str = ""
    server: str = ""
    lacks: str = ""
    abilities: list[str] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)
    options: Mapping[str, str] = field(default_factory=dict)


def print_systems(*, as_json: bool) -> None:
    """Print every system that can be asked for by name, ours and those of installed packages."""
    found = [_listed(name) for name in names()]
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        _print(one)
    typer.echo("Run a scenario on one with `tallystick run SCENARIO --system NAME`; settings are")
    typer.echo("`-o KEY=VALUE`. One of your own is `--system module:NAME` (docs/adapters.md).")


def _listed(name: str) -> Listed:
    findings = examine_system(name)
    lacks = "; ".join(
        f"{one.name}: {one.found} ({one.advice})"
        for one in findings
        if one.state is not State.OK and not _can_wait(one, findings)
    )
    # Where a program lies is for `doctor`.
    told = {one.name: one.found.partition(" (")[0] for one in findings}
    client, server = told.get(f"{name} client", ""), told.get(f"{name} server", "")
    try:
        system = load_system(name)
    except UsageError as error:
        return Listed(name=name, client=client, server=server, lacks=lacks or str(error))
    return Listed(
        name=name,
        version=system.version,
        client=client or "comes with it",
        server=server or "comes with it",
        lacks=lacks,
        abilities=sorted(system.abilities),
        promises=sorted(system.promises),
        options=dict(system.options) if isinstance(system, Configurable) else {},
    )


def _can_wait(one: Finding, findings: tuple[Finding, ...]) -> bool:
    """Say whether a run gets it by itself, or does without it: Maven or what Maven brings."""
    there = {finding.name for finding in findings if finding.state is State.OK}
    return {"kafka server": "maven" in there, "maven": "kafka server" in there}.get(one.name, False)


def _print(one: Listed) -> None:
    typer.echo(f"{one.name}  {one.version}".rstrip())
    shared = [key for key in one.options if key in ENDPOINT_OPTIONS]
    rows = [
        ("client", one.client),
        ("server", one.server),
        ("lacks", one.lacks),
        ("can", ", ".join(one.abilities)),
        ("promises", ", ".join(one.promises)),
        *((f"-o {key}", text) for key, text in one.options.items() if key not in shared),
        ("endpoint", f"a server that runs already: -o {', -o '.join(shared)}" if shared else ""),
    ]
    for label, text in rows:
        if text:
            paragraph(f"{label}: {text}", 2, deeper=2)
    typer.echo()
