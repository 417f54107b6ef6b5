"""`tallystick clean --system … --endpoint …`: what killed runs have left at a user's server."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import anyio
import typer

from harness.cli.signals import under_signals
from harness.errors import HarnessError, UsageError
from harness.links.links import Links, LinkWanted
from harness.provision.toxiproxy import ensure
from harness.report.words import counted
from harness.systems.broker.deployment import CLEAN_UP_WITHIN_S, first_that_answers
from harness.systems.broker.leftovers import (
    Cleanable,
    Cleaner,
    Leftover,
    Life,
    forget_run,
    life_of,
)
from harness.systems.broker.line import Unavailable
from harness.systems.registry import load_system

T = TypeVar("T")

NAMES_SHOWN_MAX = 20
"""Names that are shown of each run; the rest are counted."""

EXIT_LEFT = 3
"""Something is there, and was left there."""


def clean_server(place: str, *, yes: bool, dry_run: bool) -> int:
    """Show what runs have left at an endpoint, and remove it if that is wanted; return exit code.

    A run that is under way on this machine is left alone, whatever is wanted.

    Raises:
        UsageError: The system cannot be cleaned, or no endpoint is named.
        HarnessError: The server is not there, or does not do what it is asked.
    """
    cleaner = _cleaner_of(place)
    found = _carry_out(cleaner, cleaner.find)
    if not found:
        typer.echo("nothing of ours is there")
        return 0
    lives = {one.run: life_of(one.run) for one in found}
    _show(found, lives)
    doomed = [one for one in found if lives[one.run] is not Life.ALIVE]
    if not doomed:
        typer.echo("all of it belongs to runs that are under way: left alone")
        return EXIT_LEFT
    if dry_run or not (yes or _wanted(doomed)):
        typer.echo(f"left there: {counted(len(found), 'name')}; --yes removes what no run uses")
        return EXIT_LEFT
    _carry_out(cleaner, partial(_remove, cleaner, doomed))
    left = {one.name for one in _carry_out(cleaner, cleaner.find)}
    stuck = [one.name for one in doomed if one.name in left]
    for run in {one.run for one in doomed} - {one.run for one in doomed if one.name in left}:
        forget_run(run)
    typer.echo(f"removed {counted(len(doomed) - len(stuck), 'name')}")
    if stuck:
        typer.echo(f"still there: {', '.join(stuck[:NAMES_SHOWN_MAX])}")
    return EXIT_LEFT if stuck or len(doomed) < len(found) else 0


async def _remove(
    cleaner: Cleaner, doomed: Sequence[Leftover], connect: Mapping[str, Any], port: int
) -> int:
    await cleaner.remove(connect, port, doomed)
    return len(doomed)


def _cleaner_of(place: str) -> Cleaner:
    system = load_system(place)
    if not isinstance(system, Cleanable):
        raise UsageError(f"system {system.name!r} leaves nothing at servers that are not its own")
    cleaner = system.cleaner()
    if cleaner is None:
        raise UsageError(
            f"name the server: tallystick clean --system {system.name} --endpoint host:port"
        )
    return cleaner


Work: TypeAlias = Callable[[Mapping[str, Any], int], Awaitable[T]]


def _carry_out(cleaner: Cleaner, work: Work[T]) -> T:
    """Do something at the server, behind a proxy as in a run: clients know no other way."""
    toxiproxy = ensure(lambda line: print(line, file=sys.stderr)).path  # noqa: T201

    async def behind_a_proxy() -> T:
        at = await first_that_answers(cleaner.endpoint.addresses)
        with tempfile.TemporaryDirectory(prefix="tallystick-clean-") as folder:
            links = await Links.start(toxiproxy, run_dir=Path(folder))
            try:
                wanted = LinkWanted(name="clean", upstream_host=at.host, upstream_port=at.port)
                (link,) = await links.open_all([wanted])
                connect = {**cleaner.connect, "endpoint": cleaner.endpoint.as_connect(at)}
                return await _at(str(at), partial(work, connect, link.listen_port))
            finally:
                with anyio.CancelScope(shield=True):
                    await links.close()

    ended = under_signals(behind_a_proxy)
    if ended.value is None:
        raise typer.Exit(ended.interrupted_by or 0)
    return ended.value


async def _at(where: str, work: Callable[[], Awaitable[T]]) -> T:
    try:
        with anyio.fail_after(CLEAN_UP_WITHIN_S):
            return await work()
    except TimeoutError as error:
        raise HarnessError(
            f"the server at {where} was not done within {CLEAN_UP_WITHIN_S:g} s; try again"
        ) from error
    except (Unavailable, OSError) as error:
        raise HarnessError(
            f"the server at {where}: {error or type(error).__name__}"
            " (see --user, --password, --token and --ca-file)"
        ) from error


def _wanted(doomed: Sequence[Leftover]) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm(f"remove {counted(len(doomed), 'name')}?")


def _show(found: Sequence[Leftover], lives: dict[str, Life]) -> None:
    by_run: dict[str, list[Leftover]] = defaultdict(list)
    for one in found:
        by_run[one.run].append(one)
    for run, names in sorted(by_run.items()):
        typer.echo(f"run {run}, {lives[run]}: {counted(len(names), 'name')}")
        for one in sorted(names, key=lambda one: one.name)[:NAMES_SHOWN_MAX]:
            typer.echo(f"  {one.kind} {_plain(one.name)}{_facts(one)}")
        if len(names) > NAMES_SHOWN_MAX:
            typer.echo(f"  and {len(names) - NAMES_SHOWN_MAX} more")


def _plain(name: str) -> str:
    """Return a name as a terminal can show it; keys may hold anything."""
    return name.encode(errors="backslashreplace").decode() if name.isprintable() else ascii(name)


def _facts(one: Leftover) -> str:
    facts = []
    if one.messages is not None:
        facts.append(counted(one.messages, "message"))
    if one.size_bytes is not None:
        facts.append(f"{one.size_bytes:,} bytes")
    if one.unchanged_s is not None:
        facts.append(f"unchanged for {one.unchanged_s:,.0f} s")
    return f": {', '.join(facts)}" if facts else ""
