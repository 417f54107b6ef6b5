"""`tallystick conform`: does an adapter do what the harness builds upon?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.paragraph import paragraph
from harness.cli.signals import under_signals
from harness.cli.under_test import (
    AllowRemote,
    CaFile,
    EndpointText,
    Options,
    Password,
    Token,
    User,
    place_of,
)
from harness.conform.case import Case, Ended
from harness.conform.registered import CASES
from harness.conform.suite import Tried, try_all
from harness.errors import UsageError
from harness.provision.toxiproxy import ensure
from harness.report.terminal import make_console, make_table, print_table
from harness.run.planted import refuse_planted
from harness.systems.registry import load_system

STYLES = {
    Ended.PASS: "green",
    Ended.FAIL: "bold red",
    Ended.ERROR: "bold red",
    Ended.NOT_APPLICABLE: "dim",
}


def conform(
    system: Annotated[str, typer.Argument(help="A name (nats) or module:NAME.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Only this case; may be repeated.", metavar="NAME")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the cases; try none.")] = False,
    option: Options = None,
    endpoint: EndpointText = "",
    user: User = "",
    password: Password = "",
    token: Token = "",
    ca_file: CaFile = "",
    allow_remote: AllowRemote = False,
    seed: Annotated[int, typer.Option(help="Of contents and ids.", metavar="N")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder for logs; new or empty.", metavar="DIR")
    ] = None,
) -> None:
    """Try what the harness builds upon, one thing at a time, on the running system.

    Ends with 0 all that applies holds, 1 something does not, 2 wrong usage, 70 something broke.
    """
    place = place_of(
        system, option or [], endpoint=endpoint, user=user, password=password, token=token,
        ca_file=ca_file, allow_remote=allow_remote,
    )  # fmt: skip
    chosen = _chosen(only or [])
    console = make_console(sys.stdout)
    if list_:
        for one in chosen:
            console.print(Text(one.name, "bold"))
            paragraph(one.protects, 4)
        return
    under_test = load_system(place)
    refuse_planted(under_test, None)
    toxiproxy = ensure(lambda line: print(line, file=sys.stderr))  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="tallystick-conform-") as scratch:
        folder = out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--out: {folder} is not empty; name a new or empty folder")

        async def work() -> list[Tried]:
            return await try_all(
                under_test, chosen, toxiproxy.path, folder, seed, lambda one: _tell(console, one)
            )

        ended = under_signals(work)
    if ended.value is None:
        raise typer.Exit(ended.interrupted_by or 0)
    print_table(console, _table(ended.value))
    raise typer.Exit(_exit_code(ended.value))


def _chosen(only: list[str]) -> list[Case]:
    names = [name for text in only for name in text.split(",") if name]
    known = {one.name: one for one in CASES}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"no case {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names] or list(CASES)


def _tell(console: Console, one: Tried) -> None:
    style = STYLES[one.ended]
    console.print(f"[{style}]{one.ended:<15}[/{style}]{one.case.name}  {one.took_s:.1f} s")


def _table(tried: list[Tried]) -> Table:
    table = make_table("ended", "protects", "seen")
    for one in tried:
        # As plain text: what an adapter says may look like markup.
        ended = Text(one.ended, STYLES[one.ended])
        table.add_row(ended, Text(one.case.protects), Text(one.told))
    return table


def _exit_code(tried: list[Tried]) -> int:
    endings = {one.ended for one in tried}
    if Ended.FAIL in endings:
        return 1
    return 70 if Ended.ERROR in endings else 0
