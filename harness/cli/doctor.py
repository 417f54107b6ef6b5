"""`tallystick doctor`: what is installed, what is missing, what is odd, and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from harness.provision.doctor import Finding, State, can_run, examine
from harness.systems.programs import examine_brokers

_STYLES = {State.OK: "green", State.ODD: "yellow", State.ABSENT: "dim", State.MISSING: "bold red"}


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    out: Annotated[
        Path, typer.Option(help="Folder that results would go to; its disk is looked at.")
    ] = Path("results"),
) -> None:
    """Say what is installed, what is missing, what is odd, and how to get it.

    Ends with 0 when runs can start, with 70 when something is missing that every run needs.
    """
    findings = [*examine(out), *examine_brokers()]
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        _show(findings)
    if not can_run(findings):
        raise typer.Exit(70)


def _show(findings: list[Finding]) -> None:
    """Print a line per finding, with the advice below it where something is to be done."""
    console = Console(highlight=False)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        head = f"{finding.state:<8}{finding.name:<{width}}  "
        line = Text(head, style=_STYLES[finding.state]) + Text(finding.found)
        console.print(line, soft_wrap=True)
        if finding.advice:
            console.print(Text(" " * len(head) + finding.advice), soft_wrap=True)
