"""`tallystick clean`: removes the oldest runs of a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.provision.retention import clean_results
from harness.run.request import RESULTS_FOLDER


def clean(
    keep: Annotated[int, typer.Option(help="How many of the newest runs stay.")] = 20,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be removed.")] = False,
    out: Annotated[Path, typer.Option(help="Folder that holds the runs.")] = RESULTS_FOLDER,
) -> None:
    """Remove the oldest runs of the results folder; other files and links are left alone."""
    if out == RESULTS_FOLDER and not out.exists():
        typer.echo(f"no folder {out} here: nothing to remove")
        return
    done = clean_results(out, keep=keep, dry_run=dry_run)
    for run in done.removed:
        typer.echo(f"{'would remove' if dry_run else 'removed'} {run}")
    freed = f"{done.bytes_freed / 2**20:.1f} MiB"
    typer.echo(
        f"{len(done.removed)} to remove ({freed}), {done.kept} to keep"
        if dry_run
        else f"{len(done.removed)} removed ({freed}), {done.kept} kept"
    )
