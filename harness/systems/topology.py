"""What a scenario wants deployed. Apart from the port, so that pure code can name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What a scenario wants deployed.

    Attributes:
        edges: Names of the regions, one edge each.
        latency_ms: One-way latency of each region's edge-core link, added by the proxy.
        client_groups: How many separate client groups per edge get a proxy of their own.
        retention: "run": the system keeps everything to the end of the run; "ack": it drops what
            was acknowledged.
        options: Settings for the system, each adapter documents its own.
    """

    edges: tuple[str, ...]
    latency_ms: Mapping[str, int] = field(default_factory=dict)
    client_groups: int = 1
    retention: Literal["run", "ack"] = "run"
    options: Mapping[str, Any] = field(default_factory=dict)
