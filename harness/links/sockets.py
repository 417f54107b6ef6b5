"""What the kernel says of connections: how many are open on a port, how many resets were sent."""

from __future__ import annotations

from pathlib import Path

TCP_TABLE = Path("/proc/net/tcp")
SNMP_TABLE = Path("/proc/net/snmp")

_ESTABLISHED = "01"


def count_open(port: int) -> int | None:
    """Return how many accepted connections on the local IPv4 `port` both sides hold open.

    None where the kernel publishes no such table.
    """
    try:
        lines = TCP_TABLE.read_text().splitlines()[1:]
    except FileNotFoundError:
        return None
    wanted = f":{port:04X}"
    count = 0
    for line in lines:
        _, local, _, state, *_ = line.split(maxsplit=4)
        count += state == _ESTABLISHED and local.endswith(wanted)
    return count


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
