"""Where a server is, as people write it: host:port, a URL, or several with commas between them.

Pure: nobody is asked what a name means. A URL may hold a password, so what is told of an address,
in errors too, goes through `masked` or is made of the parts that are no secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

from harness.errors import UsageError

ADDRESSES_MAX = 64
"""Most addresses of one endpoint."""

PORTS = {
    "nats": 4222, "tls": 4222, "redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379,
    "kafka": 9092, "kafka+ssl": 9092, "amqp": 5672, "amqps": 5671, "bolt": 7687, "ftp": 21,
    "http": 80, "https": 443, "ldap": 389, "ldaps": 636, "mariadb": 3306, "memcached": 11211,
    "mongodb": 27017, "mqtt": 1883, "mqtts": 8883, "mssql": 1433, "mysql": 3306, "postgres": 5432,
    "postgresql": 5432, "pulsar": 6650, "pulsar+ssl": 6651, "smtp": 25, "ssh": 22, "ws": 80,
    "wss": 443,
}  # fmt: skip
"""The port that a scheme stands for where a URL names none. A driver's name behind a plus, as in
``postgresql+psycopg``, changes nothing."""

FORMS = "host:port, [::1]:port or a URL as nats://user:secret@host:port"
"""What can be read, in words."""

HIDDEN = "***"

_SCHEME = re.compile(r"(?:jdbc:)?([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HOST = re.compile(r"[^\s/?#@:\[\],%]+")
_BEGINS_URL = r"[A-Za-z][A-Za-z0-9+.-]*(?:://|%3[Aa]%2[Ff]%2[Ff])"
_USERINFO = re.compile(
    rf"(?P<before>(?:://|%3a%2f%2f))(?P<secret>(?:(?!(?:,|%2c){_BEGINS_URL}).)*)(?P<behind>@|%40)",
    re.IGNORECASE | re.DOTALL,
)
_BARE = re.compile(r"(?P<before>^)(?P<secret>.*)(?P<behind>@|%40)", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(r"(?P<before>endpoint=)(?P<secret>[^&]*)(?P<behind>@|%40)", re.IGNORECASE)
_QUERY = re.compile(
    r"(?P<before>[?&][^=&#]*(?:pass|pw|secret|token|key)[^=&#]*=)(?P<secret>[^&#]*)(?P<behind>)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port. As text it is ``host:port``, with brackets around an IPv6 address."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One or more addresses of a server or cluster, and what else a URL says.

    Attributes:
        addresses: At least one, none twice.
        scheme: In lower case, "" if there was none.
        user: Decoded; with `nats://` and no password it may be a token, so it is not shown.
        password: Decoded, "" if there was none.
        path: What stands behind the host, without its first slash.
        query: The names of the query's parameters.
    """

    addresses: tuple[Address, ...]
    scheme: str = ""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    path: str = field(default="", repr=False)
    query: tuple[str, ...] = ()


def locate(text: str, *, what: str = "address") -> Location:
    """Read one or more addresses.

    All URLs must agree in scheme, path and login; one that names no login has the others'. A port
    may be left out where the scheme has one of its own. An IPv6 address needs brackets where it can
    be read in two ways.

    Args:
        text: What a user has written.
        what: What it is for, to begin an error with.

    Raises:
        UsageError: It cannot be read; says what can be, and shows no secret.
    """
    parts = [part.strip() for part in _split(text)]
    if len(parts) > ADDRESSES_MAX:
        raise UsageError(f"{what}: {len(parts)} addresses; at most {ADDRESSES_MAX}")
    shown = masked(text, bare=True)

    def refuse(why: str) -> UsageError:
        return UsageError(f"{what} {shown!r}: {why}; write {FORMS}, several with commas between")

    found = [_read(part, refuse) for part in parts]
    scheme = found[0].scheme
    if any(one.scheme not in ("", scheme) for one in found):
        raise refuse("URLs of several schemes")
    for what_of in ("user", "password", "path", "query"):
        if len({getattr(one, what_of) for one in found} - {"", ()}) > 1:
            raise refuse(f"addresses that differ in their {what_of}")
    addresses: list[Address] = []
    for part, one in zip(parts, found, strict=True):
        # In a://x,y the port of y may be the scheme's too.
        addresses.append(_read(part, refuse, scheme).addresses[0] if scheme else one.addresses[0])
    if len(set(addresses)) < len(addresses):
        raise refuse("an address is named twice")
    if not scheme and any(address.port == 0 for address in addresses):
        raise refuse("no port")
    return Location(
        addresses=tuple(addresses),
        scheme=scheme,
        user=next((one.user for one in found if one.user), ""),
        password=next((one.password for one in found if one.password), ""),
        path=next((one.path for one in found if one.path), ""),
        query=next((one.query for one in found if one.query), ()),
    )


def _split(text: str) -> list[str]:
    """Return what commas separate; one in a password separates nothing."""
    parts: list[str] = []
    for part in text.split(","):
        in_login = parts and "://" in parts[-1] and "@" not in parts[-1]
        if in_login and "@" in part and "://" not in part.partition("@")[0]:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _read(part: str, refuse: Callable[[str], UsageError], scheme: str = "") -> Location:
    """Read one address; without a scheme its port may be 0, for none."""
    url = _SCHEME.fullmatch(part)
    rest = part
    if url is not None:
        scheme, rest = url[1].lower(), url[2]
    elif "@" in part:
        raise refuse("a login needs the scheme in front of it, as in nats://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    if "@" in behind and "@" not in authority:
        raise refuse("in a password write / as %2F, ? as %3F and # as %23")
    path, _, query = behind.partition("#")[0].partition("?")
    login, _, where = authority.rpartition("@")
    user, _, password = login.partition(":")
    if scheme.endswith("+srv"):
        raise refuse(f"{scheme}:// needs a name server to say where it is; name host and port")
    default = PORTS.get(scheme) or PORTS.get(scheme.partition("+")[0], 0)
    host, port = _host_and_port(where, default, refuse)
    if url is not None and not port:
        raise refuse(f"no port, and {scheme}:// has none of its own")
    return Location(
        addresses=(Address(host=host, port=port),),
        scheme=scheme if url is not None else "",
        user=unquote(user),
        password=unquote(password),
        path=path.strip("/"),
        query=tuple(pair.partition("=")[0] for pair in query.split("&") if pair),
    )


def _host_and_port(
    where: str, default: int, refuse: Callable[[str], UsageError]
) -> tuple[str, int]:
    if where.startswith("["):
        host, closed, port = where[1:].partition("]")
        if not closed or not is_ipv6(host) or (port and not port.startswith(":")):
            raise refuse("brackets are for an IPv6 address, as in [::1]:4222")
        return host.replace("%25", "%"), _port(port[1:], default, refuse) if port else default
    host, colon, port = where.rpartition(":")
    if ":" in host:
        return _without_brackets(where, host, port, default, refuse)
    if not colon:
        host, port = where, ""
    if _HOST.fullmatch(host) is None:
        raise refuse("that is no host" if host else "no host")
    return host, _port(port, default, refuse) if colon else default


def _without_brackets(
    whole: str, host: str, port: str, default: int, refuse: Callable[[str], UsageError]
) -> tuple[str, int]:
    """Read an IPv6 address that has no brackets, if there is one way only to read it."""
    with_port = is_ipv6(host) and _is_port(port)
    if is_ipv6(whole):
        if with_port:
            raise refuse(f"that may be [{host}]:{port} or [{whole}] without a port: add brackets")
        return whole, default
    if not with_port:
        raise refuse("that is no IPv6 address")
    return host, int(port)


def is_ipv6(text: str) -> bool:
    """Say whether a text is an IPv6 address."""
    try:
        ipaddress.IPv6Address(text.replace("%25", "%"))
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65_536


def _port(text: str, default: int, refuse: Callable[[str], UsageError]) -> int:
    if not text and default:
        return default
    if not _is_port(text):
        # What stands there may be a piece of a password.
        raise refuse("a port is a number from 1 to 65535")
    return int(text)


def _three_stars(_secret: str) -> str:
    return HIDDEN


def masked(text: str, fill: Callable[[str], str] = _three_stars, *, bare: bool = False) -> str:
    """Return a text without the logins and secret parameters of the URLs in it.

    It hides too much rather than too little, and heeds what is percent-encoded.

    Args:
        text: A word of a command line, a place, an address.
        fill: What to write instead of a secret.
        bare: A login counts without a scheme in front of it too.
    """

    def hide(found: re.Match[str]) -> str:
        return found["before"] + fill(found["secret"]) + found["behind"]

    text = _QUERY.sub(hide, _USERINFO.sub(hide, text))
    if "://" in text or "%3a%2f%2f" in text.lower():
        return text
    return (_BARE if bare else _OPTION).sub(hide, text)
