"""What a scenario wants deployed. Apart from the port, so that pure code can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.definitions import check_fields, names, not_negative, refusal, regions
from harness.nearest import did_you_mean

LATENCY_MS_MAX = 10_000
"""Most that a link is slower at rest: no client waits for longer."""

WINDOW_BYTES_MIN = 4_096
"""Smallest window that a scenario may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What a scenario wants deployed.

    Attributes:
        edges: Names of the regions, one edge each.
        latency_ms: One-way latency of each region's edge-core link, added by the proxy.
        client_groups: Names of the client groups; each gets a proxy of its own to every edge. The
            runner fills them in (`harness.load.groups`): an actor each, or a load process.
        switched: Names or patterns of the processes ("core", "edge:*") that are to be started with
            switches for faults inside them (ability SWITCHES). The runner fills them in from the
            schedule.
        retention: "run": the system keeps everything to the end of the run; "ack": it drops what
            was acknowledged.
        cache_bytes: What the system may keep in memory of what it stored, so that less than the
            data fits; 0: its own setting. A system that cannot be told does as it does.
        window_bytes: What a receiver is sent before it acknowledges, likewise; 4,096 or more.
        options: Settings for the system, each adapter documents its own.
    """

    edges: tuple[str, ...]
    latency_ms: Mapping[str, int] = field(default_factory=dict)
    client_groups: tuple[str, ...] = ("all",)
    switched: tuple[str, ...] = ()
    retention: Literal["run", "ack"] = "run"
    cache_bytes: int = 0
    window_bytes: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, edges=regions, client_groups=names, cache_bytes=not_negative)
        if self.window_bytes and self.window_bytes < WINDOW_BYTES_MIN:
            raise refusal(self, "window_bytes", f"0, or {WINDOW_BYTES_MIN} or more")
        for edge, latency_ms in self.latency_ms.items():
            if edge not in self.edges:
                known = ", ".join(self.edges)
                hint = did_you_mean(edge, self.edges)
                raise refusal(self, "latency_ms", f"{edge!r} is no edge; there are: {known}{hint}")
            if not 0 <= latency_ms <= LATENCY_MS_MAX:
                raise refusal(self, "latency_ms", f"from 0 up to {LATENCY_MS_MAX} ms")


CLIENT_LINKS = "client-edge:"
"""How the names of the links of clients begin; each client has one to every edge, most idle."""


def client_link(edge: str, group: str) -> str:
    """Return the name of the proxy through which a client group reaches an edge."""
    return f"{CLIENT_LINKS}{edge}:{group}"


def client_links(topology: Topology, edge: str) -> list[str]:
    """Return the names of all proxies in front of an edge, which must exist before clients come."""
    return [client_link(edge, group) for group in topology.client_groups]
