"""The reference system with a planted bug: `harness.testing.planted_system:NAME`.

A bug of a node goes in through the launcher, a bug of a client into the load process itself, when
it asks for its connector. Only the self-test may run it; `run` and `verify` refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.links.links import Links
from harness.systems.reference.adapter import SYSTEM
from harness.systems.reference.clients import ReferenceConnector
from harness.systems.reference.deployment import ReferenceDeployment
from harness.systems.topology import Topology
from harness.testing.bugs.registry import Place, PlantedBug, find_bug
from harness.testing.launch import BUG_OPTION

LAUNCHER = "harness.testing.launch"

_PLANTED = ExitStack()
"""Holds what was put into this process, until it ends."""


class PlantedSystem:
    """As the reference, and promises the same, but for its bug."""

    name = SYSTEM.name
    version = SYSTEM.version
    promises = SYSTEM.promises
    abilities = SYSTEM.abilities
    presence_bound_s = SYSTEM.presence_bound_s
    delivery_within_s = SYSTEM.delivery_within_s
    route = SYSTEM.route
    one_hop = SYSTEM.one_hop

    def __init__(self, bug: PlantedBug) -> None:
        self._bug = bug
        self.planted_bug = bug.name

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> ReferenceDeployment:
        """Start the nodes through the launcher.

        Raises:
            HarnessError: A node did not start, or the bug is in none of them.
        """
        options = dict(topology.options)
        launcher = [*options.get("launcher", [LAUNCHER]), BUG_OPTION, self.planted_bug]
        options["launcher"] = launcher
        deployment = await SYSTEM.deploy(replace(topology, options=options), links, run_dir, seed)
        config = dict(deployment.config)
        if self._bug.place is Place.CLIENT:
            config["planted_bug"] = self.planted_bug
        deployment.config = config
        if config["planted_bug"] != self.planted_bug:
            await deployment.teardown()
            raise HarnessError(f"no node says that {self.planted_bug} is planted in it")
        return deployment

    def connector(self, connect: Mapping[str, Any]) -> ReferenceConnector:
        """Return what makes clients; a bug of clients is in this process from now on."""
        if self._bug.place is Place.CLIENT:
            _PLANTED.enter_context(self._bug.planted())
        return SYSTEM.connector(connect)


def place_of(bug: PlantedBug) -> str:
    """Return the words under which load processes find the system of a bug."""
    return f"{__name__}:{bug.name.replace('-', '_')}"


def __getattr__(name: str) -> PlantedSystem:
    """Make `load_system("harness.testing.planted_system:no_dedup")` find the system of a bug."""
    try:
        return PlantedSystem(find_bug(name))
    except KeyError as error:
        raise AttributeError(error.args[0]) from None
