"""`tallystick serve`: a core or an edge of the reference system, started by hand.

The node prints one line `ready {"role": ..., "port": ..., "pid": ...}` when it listens, and stops
in order on SIGTERM or SIGINT. Runs start their nodes themselves; this is for looking at one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import HarnessError, UsageError
from reference.core.settings import CoreSettings, Retention
from reference.edge.settings import EdgeSettings
from reference.node.serve import run_core, run_edge
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    require_loopback,
)

PORT_MAX = 65_535
CORE_LINKS_MAX = 64
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

app = typer.Typer(
    help="Run a core or an edge of the reference system by hand, on loopback.",
    rich_markup_mode=None,
    no_args_is_help=False,
)

Host = Annotated[str, typer.Option(help="A loopback address.")]
Port = Annotated[int, typer.Option(help="0 lets the system choose; the ready line names it.")]
Token = Annotated[
    str, typer.Option(help="What clients and edges show: any word, the same for all nodes.")
]
AdminToken = Annotated[str, typer.Option(help="What promote and inspect need; none if empty.")]
LogLevel = Annotated[str, typer.Option(help=", ".join(LOG_LEVELS) + ".")]
Lifeline = Annotated[bool, typer.Option("--lifeline", help="End when standard input ends.")]


@app.command()
def core(
    database: Annotated[Path, typer.Option(help="The SQLite file; made if it is missing.")],
    token: Token,
    host: Host = "127.0.0.1",
    port: Port = 0,
    admin_token: AdminToken = "",
    retention: Annotated[
        str, typer.Option(help="run keeps acknowledged messages, ack trims them.")
    ] = Retention.RUN,
    lifeline: Lifeline = False,
    log_level: LogLevel = "INFO",
) -> None:
    """Run a core until SIGTERM; what it acknowledged is in the database."""
    _check(host, port, log_level, token)
    if retention not in tuple(Retention):
        raise UsageError(f"--retention {retention!r}: one of {', '.join(Retention)}")
    if not database.resolve().parent.is_dir():
        raise UsageError(f"--database {database}: no folder {database.resolve().parent}")
    if database.is_dir():
        raise UsageError(f"--database {database}: a folder; name the file in it")
    code = run_core(
        CoreNodeSettings(
            core=CoreSettings(token=token, admin_token=admin_token, retention=Retention(retention)),
            database=str(database),
            host=host,
            port=port,
            lifeline=lifeline,
            log_level=log_level,
        )
    )
    _end("core", code)


@app.command()
def edge(
    core_port: Annotated[int, typer.Option(help="Where the core, or its proxy, listens.")],
    token: Token,
    name: Annotated[str, typer.Option(help="The region, as users' presence shows it.")] = "us-east",
    core_host: Host = "127.0.0.1",
    host: Host = "127.0.0.1",
    port: Port = 0,
    admin_token: AdminToken = "",
    core_links: Annotated[int, typer.Option(help="Connections to the core.")] = 1,
    lifeline: Lifeline = False,
    log_level: LogLevel = "INFO",
) -> None:
    """Run an edge until SIGTERM; it resends to the core until that has acknowledged."""
    _check(host, port, log_level, token)
    _check(core_host, core_port, log_level, token)
    if not core_port:
        raise UsageError("--core-port 0: the port that the core's ready line names")
    if not 1 <= core_links <= CORE_LINKS_MAX:
        raise UsageError(f"--core-links {core_links}: from 1 up to {CORE_LINKS_MAX}")
    code = run_edge(
        EdgeNodeSettings(
            edge=EdgeSettings(
                name=name, token=token, admin_token=admin_token, core_links=core_links
            ),
            core_host=core_host,
            core_port=core_port,
            host=host,
            port=port,
            lifeline=lifeline,
            log_level=log_level,
        )
    )
    _end("edge", code)


def _check(host: str, port: int, log_level: str, token: str) -> None:
    if not token:
        raise UsageError("--token is empty: give a word, without one nobody may connect")
    try:
        require_loopback(host)
    except SettingsError as error:
        raise UsageError(str(error)) from error
    if not 0 <= port <= PORT_MAX:
        raise UsageError(f"port {port}: from 0 up to {PORT_MAX}")
    if log_level not in LOG_LEVELS:
        raise UsageError(f"--log-level {log_level!r}: one of {', '.join(LOG_LEVELS)}")


def _end(role: str, code: int) -> None:
    if code:
        # A node's own 1 must not look like a FAIL of ours.
        raise HarnessError(f"the {role} ended with code {code}; its log above says why")
