"""The reference system as a system under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.links.links import Links
from harness.systems.broker.settings import choose, choose_like
from harness.systems.promises import Ability, Promise
from harness.systems.reference.clients import ReferenceConnector
from harness.systems.reference.deployment import (
    HEARTBEAT_DEADLINE_MS,
    ReferenceDeployment,
    deploy,
)
from harness.systems.takes import Takes
from harness.systems.topology import Topology
from reference.wire.limits import (
    BATCH_BYTES_MAX,
    BATCH_COUNT_MAX,
    BUCKET_COUNT_MAX,
    INBOX_NAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    PROTOCOL_VERSION,
)

NUMBER_FORM = "[0-9]{1,9}"

RESTART_WITHIN_S = 5.0
"""From the start of the core to the first acknowledgement; 0.3 to 0.6 s on a quiet machine, and
more by what there is to recover."""


DELIVERY_WITHIN_S = 1.0
"""From an acknowledgement to the delivery at a reader that waits: 20 ms on a quiet machine. Nothing
in the system waits for a time to pass, so what takes a second was withheld."""


class ReferenceSystem:
    """Promises everything of the catalogue that a single log per inbox can promise."""

    name = "reference"
    version = f"protocol {PROTOCOL_VERSION}"
    promises = frozenset(Promise) - {Promise.MERGE_WATERMARK, Promise.TOTAL_ORDER}
    abilities = frozenset(Ability)
    presence_bound_s = HEARTBEAT_DEADLINE_MS / 1000 + 1.0
    delivery_within_s = DELIVERY_WITHIN_S
    route = "splitmix64-xxh3"
    one_hop = False
    restart_within_s = RESTART_WITHIN_S
    options: Mapping[str, str] = {
        "tls": "encrypt every hop: off (default), or on",
        "hot_writes_per_s": "from this rate on the core itself promotes an inbox; 0: never",
        "cool_writes_per_s": "at this rate or below it demotes it again",
        "hot_hold_ms": "so long at least lies between two such changes of an inbox",
        "hot_bucket_count": "the buckets that a hot inbox gets",
    }
    takes = Takes(
        payload_bytes_max=MESSAGE_BYTES_MAX,
        batch_bytes_max=BATCH_BYTES_MAX,
        batch_count_max=BATCH_COUNT_MAX,
        inbox_bytes_max=INBOX_NAME_BYTES_MAX,
        any_names=True,
        bucket_count_max=BUCKET_COUNT_MAX,
        senders_more=1_000,
        messages_more=1_000_000,
        recuts=True,
    )

    def __init__(self, *, tls: bool = False, rule: Mapping[str, int] | None = None) -> None:
        self._tls = tls
        self._rule = dict(rule or {})

    def configure(self, chosen: Mapping[str, str]) -> ReferenceSystem:
        """Return the system with these options."""
        rule = {
            key: int(choose_like(chosen, key, NUMBER_FORM, "a whole number", ""))
            for key in chosen
            if key != "tls"
        }
        return ReferenceSystem(tls=choose(chosen, "tls", ("off", "on"), "off") == "on", rule=rule)

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> ReferenceDeployment:
        """Start one core and an edge per region, every link behind a proxy."""
        core = {**self._rule, **topology.options.get("core", {})}
        wanted = replace(topology, options={**topology.options, "core": core})
        return await deploy(wanted, links, run_dir, tls=self._tls)

    def connector(self, connect: Mapping[str, Any]) -> ReferenceConnector:
        """Return what makes clients from the deployment's `connect`."""
        return ReferenceConnector(connect)


SYSTEM = ReferenceSystem()
