"""What a user says about a broker: its options, or where one runs that is not ours.

A secret that stands in a URL is taken out of it before anything else is done with it (`settle`): it
goes not into places, commands, results or the arguments of processes, which anybody can read.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.addresses import Address, Location, locate
from harness.errors import UsageError
from harness.processes.environment import PASSWORD_VARIABLE as PASSWORD_VARIABLE
from harness.processes.environment import TOKEN_VARIABLE as TOKEN_VARIABLE
from harness.systems.broker.loopback import is_loopback
from harness.systems.broker.secrets import Secrets, keep, secrets_of

ENDPOINT_OPTIONS: Mapping[str, str] = {
    "endpoint": "host:port or URL of a server that runs already; then there are no process faults",
    "user": f"who logs in there; the password comes in the environment as {PASSWORD_VARIABLE}",
    "ca_file": "certificates to trust, not the system's; with it the connection is encrypted",
    "allow_remote": "yes: the endpoint may be on another machine",
}
"""Options that every broker's adapter has."""

SCHEMES: Mapping[str, Mapping[str, bool]] = {
    "nats": {"nats": False, "tls": True},
    "valkey": {"redis": False, "valkey": False, "rediss": True, "valkeys": True},
    "kafka": {"kafka": False, "kafka+ssl": True},
}
"""What URLs of a system begin with, and whether the connection is encrypted then."""

TOKEN_SCHEMES = ("nats", "tls")
"""Where a user without a password is a token."""

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
    """A server that somebody else runs.

    Attributes:
        addresses: Where; of several the first that answers is used, and no other.
        text: All of that in one word, without secrets.
        user: Who logs in, "" nobody.
        ca_file: Certificates to trust in place of the system's.
        tls: Whether the connection is encrypted.
        database: Number of the database, where the system has several.
    """

    addresses: tuple[Address, ...]
    text: str
    user: str = ""
    ca_file: str = ""
    tls: bool = False
    database: int = 0

    @classmethod
    def chosen(
        cls, chosen: Mapping[str, str], system: str = "", of_server: Sequence[str] = ()
    ) -> Endpoint | None:
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
        settled = settle(system, chosen)
        where = locate(settled["endpoint"], what="endpoint")
        remote = [one.host for one in where.addresses if not is_loopback(one.host)]
        if remote and choose(chosen, "allow_remote", YES, "no") == "no":
            raise UsageError(
                f"endpoint {remote[0]} is on another machine: load and faults on the way to it are "
                "real there; say --allow-remote if that is meant"
            )
        if (ca_file := chosen.get("ca_file", "")) and not Path(ca_file).is_file():
            raise UsageError(f"ca_file {ca_file!r}: there is no such file")
        return cls(
            addresses=where.addresses,
            text=settled["endpoint"],
            user=settled.get("user", ""),
            ca_file=ca_file,
            tls=bool(ca_file) or _is_encrypted(where.scheme),
            database=int(where.path or 0),
        )

    def as_connect(self, at: Address) -> dict[str, Any]:
        """Return what load processes need to know of it, without secrets."""
        return {
            "text": self.text,
            "host": at.host,
            "user": self.user,
            "ca_file": self.ca_file,
            "tls": self.tls,
            "database": self.database,
        }

    def as_config(self, at: Address) -> dict[str, Any]:
        """Return what stands in the result; `at` is the address that is used."""
        config: dict[str, Any] = {"endpoint": str(at), "user": self.user, "encrypted": self.tls}
        if self.database:
            config["database"] = self.database
        return config


def settle(
    system: str, chosen: Mapping[str, str], *, password: str = "", token: str = ""
) -> dict[str, str]:
    """Return options whose endpoint holds no secret; those that it held are kept for it.

    A user in a URL becomes the option `user`. Idempotent.

    Args:
        system: Its name, to know its schemes; any other has all of them.
        chosen: The options.
        password: Said elsewhere; a password in the URL goes before it.
        token: Said elsewhere; likewise.

    Raises:
        UsageError: The endpoint cannot be read, or says what is not heeded.
    """
    if "endpoint" not in chosen:
        return dict(chosen)
    where = locate(chosen["endpoint"], what="endpoint")
    if where.scheme:
        _check_url(system, where)
    user, said = where.user, chosen.get("user", "")
    is_token = where.scheme in TOKEN_SCHEMES and user and not where.password
    if is_token and not (password or os.environ.get(PASSWORD_VARIABLE)):
        user, token = "", user
    if user and said and user != said:
        raise UsageError("endpoint: its URL names one user, and the option user another")
    text = ",".join(str(one) for one in where.addresses)
    if where.path or _is_encrypted(where.scheme) or (where.scheme and system not in SCHEMES):
        text = f"{where.scheme}://{text}" + (f"/{where.path}" if where.path else "")
    keep(text, Secrets(password=where.password or password, token=token))
    return {**chosen, "endpoint": text} | ({"user": user} if user else {})


def _is_encrypted(scheme: str) -> bool:
    return any(schemes.get(scheme, False) for schemes in SCHEMES.values())


def _check_url(system: str, where: Location) -> None:
    """Refuse a URL that says what is not heeded."""
    schemes = SCHEMES.get(system)
    if schemes is not None and where.scheme not in schemes:
        owner = next((name for name, has in SCHEMES.items() if where.scheme in has), "")
        known = ", ".join(f"{name}://" for name in schemes)
        other = f" is for {owner}" if owner else " is not known"
        raise UsageError(
            f"endpoint: {where.scheme}://{other}; for {system} write host:port or {known}"
        )
    if where.query:
        raise UsageError(
            f"endpoint: the parameter {where.query[0]!r} of the URL is not heeded here; "
            "leave it out (see --user, --ca-file and -o)"
        )
    if where.path and not (system == "valkey" and where.path.isdecimal()):
        only = "only the number of a database" if system == "valkey" else "nothing"
        raise UsageError(f"endpoint: {only} may stand behind the port of the URL")


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else on the machine may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How a client logs in; made in the process that needs it.

    Attributes:
        tls: How to encrypt, None: not at all.
        host: The name that the server's certificate has to hold.
        database: Number of the database, where the system has several.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    host: str = ""
    database: int = 0

    @classmethod
    def at(cls, endpoint: Mapping[str, Any]) -> Credentials:
        """Return the credentials for an endpoint; without a CA file the system's are trusted."""
        told = secrets_of(str(endpoint["text"]))
        ca_file = str(endpoint["ca_file"]) or None
        return cls(
            user=str(endpoint["user"]) or None,
            password=told.password or None,
            token=told.token or None,
            tls=ssl.create_default_context(cafile=ca_file) if endpoint["tls"] else None,
            host=str(endpoint["host"]),
            database=int(endpoint["database"]),
        )
