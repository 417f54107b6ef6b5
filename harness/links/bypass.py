"""Who goes around a link: connections of this process and its children straight to the upstream.

The kernel lists every TCP connection with the inode of its socket (/proc/net/tcp, tcp6), and of
every process the sockets that it holds. Elsewhere than on Linux neither is known.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
PROCESSES = Path("/proc")

BYPASSES_MAX = 100
"""How many are remembered of one link."""

_ESTABLISHED = "01"
_WORD_HEX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bypass:
    """A connection that went to the upstream itself while the link to it existed.

    Attributes:
        pid: The process that holds it: this one or a child of its.
        local: Its own end, as ``host:port``.
        remote: The upstream, as ``host:port``.
    """

    pid: int
    local: str
    remote: str


def addresses_of(host: str) -> frozenset[str]:
    """Return the addresses of a host in one form; none if it has none now."""
    with contextlib.suppress(OSError):
        return frozenset(_plain(str(one[4][0])) for one in socket.getaddrinfo(host, None))
    return frozenset()


def connections_to(addresses: Collection[str], port: int) -> dict[tuple[str, str], str] | None:
    """Return (local, remote) → inode of every open connection to a port; None if unknown."""
    found: dict[tuple[str, str], str] = {}
    known = False
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        known = True
        for line in lines:
            fields = line.split()
            if fields[3] != _ESTABLISHED or int(fields[2].rpartition(":")[2], 16) != port:
                continue
            local, remote = _read(fields[1]), _read(fields[2])
            if remote[0] in addresses:
                found[_joined(*local), _joined(*remote)] = fields[9]
    return found if known else None


class BypassWatch:
    """Remembers who went around one link since it was made.

    Args:
        host: The upstream's host.
        port: Its port.
        proxy_pid: Returns the process that goes there for the link.
    """

    def __init__(self, host: str, port: int, proxy_pid: Callable[[], int | None]) -> None:
        self._addresses = addresses_of(host)
        self._port = port
        self._proxy_pid = proxy_pid
        self._known = set(connections_to(self._addresses, port) or ())
        self.found: list[Bypass] = []

    def look(self) -> list[Bypass] | None:
        """Look now; return all that were seen so far, None where the kernel does not tell."""
        now = connections_to(self._addresses, self._port)
        if now is None:
            return None
        fresh = {ends: inode for ends, inode in now.items() if ends not in self._known}
        # An address may be used again; a connection that was there before is forgotten at its end.
        self._known = set(now)
        if fresh and len(self.found) < BYPASSES_MAX:
            holders = _holders(set(fresh.values()), _family(os.getpid()), self._proxy_pid())
            for (local, remote), inode in fresh.items():
                if inode in holders:
                    self.found.append(Bypass(pid=holders[inode], local=local, remote=remote))
        return list(self.found)


def _holders(inodes: set[str], pids: Iterator[int], proxy_pid: int | None) -> dict[str, int]:
    """Return inode → the process that holds it, for those that the proxy does not hold."""
    found: dict[str, int] = {}
    for pid in pids:
        if pid == proxy_pid:
            continue
        with contextlib.suppress(OSError):
            for link in (PROCESSES / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    inode = os.readlink(link).removeprefix("socket:[").removesuffix("]")
                    if inode in inodes:
                        found.setdefault(inode, pid)
    return found


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all that it has started, and those in their turn."""
    children: dict[int, list[int]] = {}
    for folder in PROCESSES.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += children.get(one, [])


def _read(text: str) -> tuple[str, int]:
    """Return (host, port) from what the kernel writes: words of the machine's order, in hex."""
    host, _, port = text.partition(":")
    words = [host[at : at + _WORD_HEX] for at in range(0, len(host), _WORD_HEX)]
    packed = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
    return _plain(str(ipaddress.ip_address(packed))), int(port, 16)


def _plain(address: str) -> str:
    """Return an address in its shortest form, IPv4 where it is one that IPv6 has taken over."""
    one = ipaddress.ip_address(address.partition("%")[0])
    mapped = one.ipv4_mapped if isinstance(one, ipaddress.IPv6Address) else None
    return str(mapped or one)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
