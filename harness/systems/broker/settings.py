"""What a user says about a broker: its options, or where one runs that is not ours.

Secrets come in the environment and go nowhere else: not into places, commands, results or the
arguments of processes, which anybody on the machine can read.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError

ENDPOINT_OPTIONS: Mapping[str, str] = {
    "endpoint": "host:port of a server that runs already; then there are no process faults",
    "user": f"who logs in there; the password comes in the environment as {'TALLYSTICK_PASSWORD'}",
    "ca_file": "certificates to trust; with it the connection is encrypted",
    "allow_remote": "yes: the endpoint may be on another machine",
}
"""Options that every broker's adapter has."""

PASSWORD_VARIABLE = "TALLYSTICK_PASSWORD"
TOKEN_VARIABLE = "TALLYSTICK_TOKEN"

YES = ("yes", "no")


def choose(chosen: Mapping[str, str], key: str, allowed: Sequence[str], default: str) -> str:
    """Return the value of an option.

    Raises:
        UsageError: It is none of those allowed.
    """
    value = chosen.get(key, default)
    if value not in allowed:
        raise UsageError(f"option {key}={value}: one of {', '.join(allowed)}")
    return value


def choose_like(chosen: Mapping[str, str], key: str, form: str, words: str, default: str) -> str:
    """Return the value of an option that must match the pattern `form`, which `words` explains.

    Raises:
        UsageError: It does not.
    """
    value = chosen.get(key, default)
    if re.fullmatch(form, value) is None:
        raise UsageError(f"option {key}={value}: {words}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server that somebody else runs."""

    host: str
    port: int
    user: str = ""
    ca_file: str = ""

    @classmethod
    def chosen(cls, chosen: Mapping[str, str], of_server: Sequence[str] = ()) -> Endpoint | None:
        """Return the endpoint that options name, None if they name none.

        `of_server` are options of a server that we start ourselves.

        Raises:
            UsageError: It is no address, is on another machine without leave, its CA file is not
                there, something is said about an endpoint and none is named, or something is said
                that only a server of our own would heed.
        """
        if "endpoint" not in chosen:
            if extra := sorted(chosen.keys() & ENDPOINT_OPTIONS.keys()):
                raise UsageError(f"option {extra[0]}: only with an endpoint")
            return None
        if vain := [key for key in of_server if key in chosen]:
            raise UsageError(
                f"option {vain[0]}: only for a server that Tallystick starts, not at an endpoint"
            )
        host, colon, port = chosen["endpoint"].rpartition(":")
        host = host.strip("[]")
        if not (colon and host and port.isdigit() and 0 < int(port) < 65_536):
            raise UsageError(f"endpoint {chosen['endpoint']!r}: write host:port")
        if not is_loopback(host) and choose(chosen, "allow_remote", YES, "no") == "no":
            raise UsageError(
                f"endpoint {host} is on another machine: load and faults on the way to it are "
                "real there; say --allow-remote if that is meant"
            )
        if (ca_file := chosen.get("ca_file", "")) and not Path(ca_file).is_file():
            raise UsageError(f"ca_file {ca_file!r}: there is no such file")
        return cls(
            host=host,
            port=int(port),
            user=chosen.get("user", ""),
            ca_file=ca_file,
        )

    def as_connect(self) -> dict[str, Any]:
        """Return what load processes need to know of it, without secrets."""
        return {"host": self.host, "user": self.user, "ca_file": self.ca_file}

    def as_config(self) -> dict[str, Any]:
        """Return what stands in the result."""
        return {
            "endpoint": f"{self.host}:{self.port}",
            "user": self.user,
            "encrypted": bool(self.ca_file),
        }


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How a client logs in; made in the process that needs it.

    Attributes:
        tls: How to encrypt, None: not at all.
        host: The name that the server's certificate has to hold.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    tls: ssl.SSLContext | None = None
    host: str = ""

    @classmethod
    def at(cls, endpoint: Mapping[str, Any]) -> Credentials:
        """Return the credentials for an endpoint, with secrets from the environment."""
        ca_file = str(endpoint["ca_file"])
        return cls(
            user=str(endpoint["user"]) or None,
            password=os.environ.get(PASSWORD_VARIABLE) or None,
            token=os.environ.get(TOKEN_VARIABLE) or None,
            tls=ssl.create_default_context(cafile=ca_file) if ca_file else None,
            host=str(endpoint["host"]),
        )
