"""`tallystick list --faults`: what can be broken, with which parameters, and what shows it."""

from __future__ import annotations

import dataclasses
import json

import typer

from harness.cli.paragraph import paragraph
from harness.faults.catalogue import About, catalogue


def print_faults(*, as_json: bool) -> None:
    """Print every fault that is registered, ours and those of installed packages."""
    found = catalogue()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(about) for about in found], indent=2))
        return
    for about in found:
        _print(about)


def _print(about: About) -> None:
    typer.echo(f"{about.kind}  ({about.name}, on a {about.aims_at})")
    paragraph(about.does, 2)
    paragraph(f"Observed: {about.observed}", 2)
    for one in about.parameters:
        unit = f" [{one.unit}]" if one.unit else ""
        paragraph(f"{one.name}{unit} = {one.default}: {one.help}", 4, deeper=2)
    typer.echo()
