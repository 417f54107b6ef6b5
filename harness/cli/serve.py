"""`tallystick serve`: a core or an edge of the reference system, started by hand.

Keys and tokens come from files that their owner alone can read, or from the environment; never from
the command line, which everybody on the machine can read. `serve token` makes tokens.

The node prints one line `ready {"role": ..., "port": ..., "pid": ...}` when it listens, and stops
in order on SIGTERM or SIGINT. Runs start their nodes themselves; this is for looking at one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import HarnessError, UsageError
from reference.core.settings import CoreSettings, Retention
from reference.edge.settings import EdgeSettings
from reference.identity import (
    ACCOUNT_MAX,
    ADMIN,
    CLIENT,
    EDGE,
    NO_ACCOUNT,
    Claims,
    TokenTooLong,
    sign,
)
from reference.node.secrets import SettingsError, read_secret
from reference.node.serve import run_core, run_edge
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    require_loopback,
    with_secrets,
)
from reference.node.tls import TlsFiles

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
EDGE_KEY_VARIABLE = "TALLYSTICK_EDGE_KEY"
CLIENT_KEY_VARIABLE = "TALLYSTICK_CLIENT_KEY"
ADMIN_KEY_VARIABLE = "TALLYSTICK_ADMIN_KEY"
EDGE_TOKEN_VARIABLE = "TALLYSTICK_EDGE_TOKEN"

AdminKey = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help=f"What verifies administrators' tokens, or ${ADMIN_KEY_VARIABLE}; else nobody's.",
    ),
]
Certificate = Annotated[
    str, typer.Option(metavar="FILE", help="PEM: encrypt, and show this; needs --certificate-key.")
]
CertificateKey = Annotated[
    str, typer.Option(metavar="FILE", help="PEM: its private key, which only you may read.")
]
LogLevel = Annotated[str, typer.Option(help=", ".join(LOG_LEVELS) + ".")]
Lifeline = Annotated[bool, typer.Option("--lifeline", help="End when standard input ends.")]


@app.command()
def core(
    database: Annotated[Path, typer.Option(help="The SQLite file; made if it is missing.")],
    edge_key_file: Annotated[
        str,
        typer.Option(metavar="FILE", help=f"What verifies edges' tokens, or ${EDGE_KEY_VARIABLE}."),
    ] = "",
    host: Host = "127.0.0.1",
    port: Port = 0,
    admin_key_file: AdminKey = "",
    certificate: Certificate = "",
    certificate_key: CertificateKey = "",
    retention: Annotated[
        str, typer.Option(help="run keeps acknowledged messages, ack trims them.")
    ] = Retention.RUN,
    lifeline: Lifeline = False,
    log_level: LogLevel = "INFO",
) -> None:
    """Run a core until SIGTERM; what it acknowledged is in the database."""
    tls = _tls(certificate, certificate_key)
    _check(host, port, log_level, tls)
    if retention not in tuple(Retention):
        raise UsageError(f"--retention {retention!r}: one of {', '.join(Retention)}")
    if not database.resolve().parent.is_dir():
        raise UsageError(f"--database {database}: no folder {database.resolve().parent}")
    if database.is_dir():
        raise UsageError(f"--database {database}: a folder; name the file in it")
    edge_key = _secret("--edge-key-file", edge_key_file, EDGE_KEY_VARIABLE)
    admin_key = _secret("", admin_key_file, ADMIN_KEY_VARIABLE)
    settings = CoreNodeSettings(
        core=CoreSettings(edge_key=edge_key, admin_key=admin_key, retention=Retention(retention)),
        database=str(database),
        tls=tls,
        host=host,
        port=port,
        lifeline=lifeline,
        log_level=log_level,
    )
    _run("core", lambda: run_core(with_secrets(settings)))


@app.command()
def edge(
    core_port: Annotated[int, typer.Option(help="Where the core, or its proxy, listens.")],
    token_file: Annotated[
        str,
        typer.Option(metavar="FILE", help=f"What opens the core, or ${EDGE_TOKEN_VARIABLE}."),
    ] = "",
    client_key_file: Annotated[
        str,
        typer.Option(
            metavar="FILE", help=f"What verifies clients' tokens, or ${CLIENT_KEY_VARIABLE}."
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="The region, as users' presence shows it.")] = "us-east",
    core_host: Host = "127.0.0.1",
    host: Host = "127.0.0.1",
    port: Port = 0,
    admin_key_file: AdminKey = "",
    certificate: Certificate = "",
    certificate_key: CertificateKey = "",
    authority: Annotated[
        str, typer.Option(metavar="FILE", help="PEM: what the core is trusted by.")
    ] = "",
    core_name: Annotated[
        str, typer.Option(help="The name in the core's certificate; else --core-host.")
    ] = "",
    core_links: Annotated[int, typer.Option(help="Connections to the core.")] = 1,
    lifeline: Lifeline = False,
    log_level: LogLevel = "INFO",
) -> None:
    """Run an edge until SIGTERM; it resends to the core until that has acknowledged."""
    tls = _tls(certificate, certificate_key, authority, core_name)
    if tls is not None and not authority:
        raise UsageError("--authority FILE: what the core is trusted by, with --certificate")
    _check(host, port, log_level, tls)
    _check(core_host, core_port, log_level, tls)
    if not core_port:
        raise UsageError("--core-port 0: the port that the core's ready line names")
    if not 1 <= core_links <= CORE_LINKS_MAX:
        raise UsageError(f"--core-links {core_links}: from 1 up to {CORE_LINKS_MAX}")
    token = _secret("--token-file", token_file, EDGE_TOKEN_VARIABLE)
    client_key = _secret("--client-key-file", client_key_file, CLIENT_KEY_VARIABLE)
    admin_key = _secret("", admin_key_file, ADMIN_KEY_VARIABLE)
    settings = EdgeNodeSettings(
        edge=EdgeSettings(
            name=name,
            token=token,
            client_key=client_key,
            admin_key=admin_key,
            core_links=core_links,
        ),
        core_host=core_host,
        core_port=core_port,
        tls=tls,
        host=host,
        port=port,
        lifeline=lifeline,
        log_level=log_level,
    )
    _run("edge", lambda: run_edge(with_secrets(settings)))


@app.command()
def token(
    role: Annotated[str, typer.Argument(help=f"{CLIENT}, {EDGE} or {ADMIN}.")],
    name: Annotated[str, typer.Argument(help="The user, edge or administrator.")],
    key_file: Annotated[str, typer.Option(metavar="FILE", help="The key of that role.")],
    account: Annotated[
        int,
        typer.Option(help="The upper half of a user's producer ids, no other user's; -1: none."),
    ] = NO_ACCOUNT,
    inbox: Annotated[
        list[str] | None,
        typer.Option(help="An inbox that the user may read beside its own; may be given again."),
    ] = None,
) -> None:
    """Print a token, which is what a client, an edge or an administrator shows."""
    if role not in (CLIENT, EDGE, ADMIN):
        raise UsageError(f"role {role!r}: one of {CLIENT}, {EDGE}, {ADMIN}")
    if not NO_ACCOUNT <= account <= ACCOUNT_MAX:
        raise UsageError(f"--account {account}: from {NO_ACCOUNT} up to {ACCOUNT_MAX}")
    claims = Claims(role=role, name=name, account=account, inboxes=tuple(inbox or ()))
    try:
        print(sign(read_secret(key_file), claims))  # noqa: T201 - it is what was asked for.
    except (SettingsError, TokenTooLong) as error:
        raise UsageError(str(error)) from None


def _secret(option: str, file: str, variable: str) -> str:
    """Return a secret from its file, or from the environment, where it is no longer afterwards.

    Raises:
        UsageError: There is none, and `option` names what must be given.
    """
    try:
        secret = read_secret(file) if file else os.environ.pop(variable, "")
    except SettingsError as error:
        raise UsageError(str(error)) from None
    if option and not secret:
        raise UsageError(f"{option} FILE, or ${variable}: nobody may connect without")
    return secret


def _tls(certificate: str, key: str, authority: str = "", core_name: str = "") -> TlsFiles | None:
    if bool(certificate) != bool(key):
        raise UsageError("--certificate FILE and --certificate-key FILE: both or neither")
    if not certificate:
        return None
    return TlsFiles(certificate=certificate, key=key, authority=authority, core_name=core_name)


def _check(host: str, port: int, log_level: str, tls: TlsFiles | None) -> None:
    try:
        if tls is None:
            require_loopback(host)
    except SettingsError as error:
        raise UsageError(str(error)) from error
    if not 0 <= port <= PORT_MAX:
        raise UsageError(f"port {port}: from 0 up to {PORT_MAX}")
    if log_level not in LOG_LEVELS:
        raise UsageError(f"--log-level {log_level!r}: one of {', '.join(LOG_LEVELS)}")


def _run(role: str, serve: Callable[[], int]) -> None:
    try:
        code = serve()
    except SettingsError as error:
        raise UsageError(str(error)) from None
    if code:
        # A node's own 1 must not look like a FAIL of ours.
        raise HarnessError(f"the {role} ended with code {code}; its log above says why")
