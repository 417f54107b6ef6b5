"""`tallystick clean`: removes the oldest runs of a folder, or what runs have left at a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.under_test import (
    AllowRemote,
    CaFile,
    EndpointToClean,
    Options,
    Password,
    Token,
    User,
    place_of,
)
from harness.errors import UsageError
from harness.provision.retention import clean_results
from harness.run.request import RESULTS_FOLDER

KEEP = 20
"""How many runs stay where nothing else is said."""


def clean(
    keep: Annotated[
        int | None, typer.Option(help=f"How many of the newest runs stay ({KEEP}).", metavar="N")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be removed.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder that holds the runs.")] = None,
    system: Annotated[
        str, typer.Option(help="What runs at the endpoint: nats, valkey or kafka.", metavar="NAME")
    ] = "",
    option: Options = None,
    endpoint: EndpointToClean = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = "",
    allow_remote: AllowRemote = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove what is found at the endpoint without asking.")
    ] = False,
) -> None:
    """Remove the oldest runs of the results folder; other files and links are left alone.

    With --system and --endpoint: remove what killed runs have left at a server of yours, after
    showing it. A run that ends removes its streams, keys, topics and groups by itself; one that was
    killed with SIGKILL cannot. Only names that begin with "tallystick" and a run's id are looked
    at. A run that is under way on this machine is left alone; of another machine's runs nothing is
    known, so see when their names were changed last.

    \b
      tallystick clean --keep 5
      tallystick clean --system nats --endpoint 127.0.0.1:4222 --dry-run
      tallystick clean --system kafka --endpoint 127.0.0.1:9092 --yes

    At an endpoint it ends with 0 when nothing of ours is there any more and with 3 when something
    was left there: without a terminal to ask at, and without --yes, it only shows.
    """  # noqa: D301  # The escape is click's word for lines that stay as they are.
    if endpoint or system:
        if keep is not None or out is not None:
            raise UsageError("--keep and --out are for result folders, not for an endpoint")
        # Clients and proxies take long to import, and a folder needs none of them.
        from harness.cli.clean_server import clean_server

        if not system:
            raise UsageError("--endpoint: say what runs there, as in --system nats")
        place = place_of(
            system, option or [], endpoint=endpoint, user=user, password=password, token=token,
            ca_file=ca_file, allow_remote=allow_remote,
        )  # fmt: skip
        raise typer.Exit(clean_server(place, yes=yes, dry_run=dry_run))
    _clean_folder(out or RESULTS_FOLDER, KEEP if keep is None else keep, dry_run)


def _clean_folder(out: Path, keep: int, dry_run: bool) -> None:
    if keep < 0:
        raise UsageError(f"--keep {keep}: a number of runs from 0 upwards is allowed")
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
