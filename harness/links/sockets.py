"""What the kernel says of connections: which are open on a port, and which ended in order."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

TCP_TABLE = Path("/proc/net/tcp")

_CONNECTION = re.compile(
    r"^ *\d+: [0-9A-F]{8}:([0-9A-F]{4}) ([0-9A-F]{8}:[0-9A-F]{4}) ([0-9A-F]{2}) ", re.MULTILINE
)
_OPEN = frozenset({"01"})
_CLOSING = frozenset({"04", "05", "06", "09", "0B"})
"""States as the kernel numbers them (include/net/tcp_states.h)."""

_ESTABLISHED = re.compile(r"^ *\d+: [0-9A-F]{8}:([0-9A-F]{4}) \S+ 01 ", re.MULTILINE)
_HALF_CLOSED = re.compile(r"^ *\d+: [0-9A-F]{8}:([0-9A-F]{4}) \S+ 0[18] ", re.MULTILINE)


def count_all_open(*, half_closed: bool = False) -> Counter[int] | None:
    """Return how many accepted connections both sides hold open, by local IPv4 port.

    With `half_closed` those too that the other side has closed (CLOSE_WAIT).

    None where the kernel publishes no such table.
    """
    try:
        table = TCP_TABLE.read_text()
    except FileNotFoundError:
        return None
    states = _HALF_CLOSED if half_closed else _ESTABLISHED
    return Counter(int(port, 16) for port in states.findall(table))


def count_open(port: int) -> int | None:
    """Return how many accepted connections on one port both sides hold open; None if unknown."""
    found = count_all_open()
    return None if found is None else found[port]


def open_on(port: int) -> set[str] | None:
    """Return the other ends of the accepted connections that are open on a port; None if unknown.

    They come in the kernel's own form, to be compared and nothing else.
    """
    return _other_ends(port, _OPEN)


def closing_on(port: int) -> set[str] | None:
    """Return the other ends of connections that this side closed in order, with an end of file.

    The kernel keeps them for a while (FIN_WAIT, CLOSING, TIME_WAIT, LAST_ACK). A connection that
    was reset is gone at once, from both sides, so it is in neither set. None if unknown.
    """
    return _other_ends(port, _CLOSING)


def _other_ends(port: int, states: frozenset[str]) -> set[str] | None:
    try:
        table = TCP_TABLE.read_text()
    except FileNotFoundError:
        return None
    return {
        other
        for local, other, state in _CONNECTION.findall(table)
        if int(local, 16) == port and state in states
    }
