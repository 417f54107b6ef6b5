"""What the kernel says of connections: how many are open on a port, how many resets were sent."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

TCP_TABLE = Path("/proc/net/tcp")
SNMP_TABLE = Path("/proc/net/snmp")

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


def count_resets_sent() -> int | None:
    """Return how many TCP resets were sent in this network namespace; None where unknown.

    Others' resets are in it too, so a difference is an upper bound of our own.
    """
    try:
        lines = SNMP_TABLE.read_text().splitlines()
    except FileNotFoundError:
        return None
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("OutRsts")])
