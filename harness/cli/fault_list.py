"""`tallystick list --faults`: what can be broken, with which parameters, and what shows it."""

from __future__ import annotations

import dataclasses
import json
import textwrap

import typer

from harness.faults.catalogue import About, catalogue

WIDTH = 80


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
    _paragraph(about.does, "  ")
    _paragraph(f"Observed: {about.observed}", "  ")
    for one in about.parameters:
        unit = f" [{one.unit}]" if one.unit else ""
        _paragraph(f"{one.name}{unit} = {one.default}: {one.help}", "    ", deeper="      ")
    typer.echo()


def _paragraph(text: str, indent: str, *, deeper: str | None = None) -> None:
    typer.echo(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent if deeper is None else deeper,
            break_on_hyphens=False,
        )
    )
