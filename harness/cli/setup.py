"""`tallystick setup`: brings what a run needs and pip cannot install, the Toxiproxy server."""

from __future__ import annotations

import typer

from harness.provision.toxiproxy import ensure


def setup() -> None:
    """Find the Toxiproxy server, or build it into the cache, and say which one is used."""
    found = ensure(lambda line: typer.echo(line, err=True))
    typer.echo(f"Toxiproxy {found.version} ({found.source}) {found.path}")
    typer.echo(f"sha256 {found.sha256}")
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
