"""The reference system as a system under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.links.links import Links
from harness.systems.broker.settings import choose_like
from harness.systems.promises import Ability, Promise
from harness.systems.reference.clients import ReferenceConnector
from harness.systems.reference.deployment import (
    HEARTBEAT_DEADLINE_MS,
    ReferenceDeployment,
    deploy,
)
from harness.systems.topology import Topology
from reference.wire.limits import PROTOCOL_VERSION

NUMBER_FORM = "[0-9]{1,9}"

RESTART_WITHIN_S = 5.0
"""From the start of the core to the first acknowledgement; 0.3 to 0.6 s on a quiet machine, and
more by what there is to recover."""


class ReferenceSystem:
    """Promises everything of the catalogue that a single log per inbox can promise."""

    name = "reference"
    version = f"protocol {PROTOCOL_VERSION}"
    promises = frozenset(Promise) - {Promise.MERGE_WATERMARK, Promise.TOTAL_ORDER}
    abilities = frozenset(Ability)
    presence_bound_s = HEARTBEAT_DEADLINE_MS / 1000 + 1.0
    route = "splitmix64-xxh3"
    one_hop = False
    restart_within_s = RESTART_WITHIN_S
    options: Mapping[str, str] = {
        "hot_writes_per_s": "from this rate on the core itself promotes an inbox; 0: never",
        "cool_writes_per_s": "at this rate or below it demotes it again",
        "hot_hold_ms": "so long at least lies between two such changes of an inbox",
        "hot_bucket_count": "the buckets that a hot inbox gets",
    }

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        self._chosen = {
            key: int(choose_like(chosen or {}, key, NUMBER_FORM, "a whole number", value))
            for key, value in (chosen or {}).items()
        }

    def configure(self, chosen: Mapping[str, str]) -> ReferenceSystem:
        """Return the system with these options."""
        return ReferenceSystem(chosen)

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> ReferenceDeployment:
        """Start one core and an edge per region, every link behind a proxy."""
        # The token keeps everybody else on this machine off the servers of the run.
        core = {**self._chosen, **topology.options.get("core", {})}
        wanted = replace(topology, options={**topology.options, "core": core})
        return await deploy(wanted, links, run_dir, token_hex(16))

    def connector(self, connect: Mapping[str, Any]) -> ReferenceConnector:
        """Return what makes clients from the deployment's `connect`."""
        return ReferenceConnector(connect)


SYSTEM = ReferenceSystem()
