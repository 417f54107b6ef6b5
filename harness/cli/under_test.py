"""Which system is put under test: its place, made of a name, options and perhaps an endpoint.

Options and endpoint become part of the place (``nats?sync_interval=2m``), so that load processes,
repeats and suites have them too. Secrets do not: they stay in the memory of this process and go no
further than to the environment of the load processes it starts.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from harness.addresses import masked
from harness.cli.secret_words import hide_secrets
from harness.errors import UsageError
from harness.processes.environment import PASSWORD_VARIABLE, TOKEN_VARIABLE
from harness.systems.places import settle_place, split_places

Options: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-o", help="An option of the system; may be repeated.", metavar="KEY=VALUE"),
]
_WRITTEN = (
    "host:port, [::1]:port, or a URL as nats://, tls://, redis://, rediss://, valkey://, valkeys://,"
    " kafka://; of several with commas between them the first that answers."
)
EndpointText: TypeAlias = Annotated[
    str,
    typer.Option(help=f"Use the server there, and do not start one: {_WRITTEN}", metavar="ADDRESS"),
]
EndpointToClean: TypeAlias = Annotated[
    str, typer.Option(help=f"The server to clean: {_WRITTEN}", metavar="ADDRESS")
]
User: TypeAlias = Annotated[str, typer.Option(help="Who logs in at the endpoint.", metavar="NAME")]
Password: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Better in the environment, where others do not see it.",
        envvar=PASSWORD_VARIABLE,
        metavar="TEXT",
    ),
]
Token: TypeAlias = Annotated[
    str, typer.Option(help="As --password.", envvar=TOKEN_VARIABLE, metavar="TEXT")
]
CaFile: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Encrypt, and trust these certificates; tls://, rediss://, valkeys:// trust the"
        " system's.",
        metavar="FILE",
    ),
]
AllowRemote: TypeAlias = Annotated[
    bool, typer.Option("--allow-remote", help="The endpoint may be on another machine.")
]


def place_of(
    system: str,
    options: Sequence[str],
    *,
    endpoint: str = "",
    user: str = "",
    password: str = "",
    token: str = "",
    ca_file: str = "",
    allow_remote: bool = False,
) -> str:
    """Return the place of a system with its settings and without secrets, which are kept.

    Raises:
        UsageError: An option is not ``key=value``, the endpoint cannot be read, or it is not said
            of which system an option is.
    """
    chosen: dict[str, str] = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-o {masked(text, bare=True)!r}: write key=value")
        chosen[key] = value
    said = {"endpoint": endpoint, "user": user, "ca_file": ca_file}
    chosen |= {key: value for key, value in said.items() if value}
    if allow_remote:
        chosen["allow_remote"] = "yes"
    places = split_places(system)
    if len(places) == 1:
        return settle_place(system, chosen, password=password, token=token)
    if chosen:
        raise UsageError("options of several systems: write them into their names, name?key=value")
    return ",".join(settle_place(place, password=password, token=token) for place in places)


def shown_command(words: Sequence[str]) -> str:
    """Return the command line for the result, without secrets."""
    return shlex.join(["tallystick", *hide_secrets(words)])
