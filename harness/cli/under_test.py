"""Which system is put under test: its place, made of a name, options and perhaps an endpoint.

Options and endpoint become part of the place (``nats?sync_interval=2m``), so that load processes,
repeats and suites have them too. Secrets go into the environment of this process and no further
than to the load processes it starts.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

import typer

from harness.errors import UsageError
from harness.systems.broker.settings import PASSWORD_VARIABLE, TOKEN_VARIABLE

Options: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-o", help="An option of the system; may be repeated.", metavar="KEY=VALUE"),
]
EndpointText: TypeAlias = Annotated[
    str, typer.Option(help="Use the server there, and do not start one.", metavar="HOST:PORT")
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
    str, typer.Option(help="Encrypt, and trust these certificates.", metavar="FILE")
]
AllowRemote: TypeAlias = Annotated[
    bool, typer.Option("--allow-remote", help="The endpoint may be on another machine.")
]

_SECRETS = ("--password", "--token")
_HIDDEN = "***"


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
    """Return the place of a system with its settings; secrets go into the environment.

    Raises:
        UsageError: An option is not ``key=value``, or it is not said of which system it is.
    """
    chosen: dict[str, str] = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"-o {text!r}: write key=value")
        chosen[key] = value
    said = {"endpoint": endpoint, "user": user, "ca_file": ca_file}
    chosen |= {key: value for key, value in said.items() if value}
    if allow_remote:
        chosen["allow_remote"] = "yes"
    for variable, secret in ((PASSWORD_VARIABLE, password), (TOKEN_VARIABLE, token)):
        if secret:
            os.environ[variable] = secret
    if not chosen:
        return system
    if "," in system:
        raise UsageError("options of several systems: write them into their names, name?key=value")
    # What is plain stays readable: the place stands in results and commands.
    query = urlencode(chosen, safe=":/[]@+")
    return f"{system}{'&' if '?' in system else '?'}{query}"


def shown_command(words: Sequence[str]) -> str:
    """Return the command line for the result, without secrets."""
    shown: list[str] = []
    hide = False
    for word in words:
        name, equals, _ = word.partition("=")
        if hide:
            shown.append(_HIDDEN)
        elif equals and name in _SECRETS:
            shown.append(f"{name}={_HIDDEN}")
        else:
            shown.append(word)
        hide = not hide and word in _SECRETS
    return shlex.join(["tallystick", *shown])
