"""Whether a host is this machine, told without asking any name server."""

from __future__ import annotations

import ipaddress
from pathlib import Path

HOSTS = Path("/etc/hosts")
"""Where this machine itself says what names mean; it is asked before any name server."""


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine: an address of loopback, or a name of these alone.

    ``localhost`` is one unless this machine says otherwise. A name that only a name server would
    know is not, whatever that server would say.
    """
    address = _address(host)
    if address is not None:
        return _is_loopback(address)
    name = host.rstrip(".").lower()
    known = _addresses_of(name)
    return all(map(_is_loopback, known)) if known else name == "localhost"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _addresses_of(name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        lines = HOSTS.read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if name in (one.lower() for one in names) and (known := _address(address)) is not None:
            found.append(known)
    return found
