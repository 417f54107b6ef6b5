"""Valkey (or Redis) streams as a system under test: a server of our own, and what it promises."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.links.links import Links
from harness.links.probe import ProbeWords
from harness.processes.process import Process
from harness.systems.broker.clients import BrokerConnector
from harness.systems.broker.deployment import BrokerDeployment, open_client_links
from harness.systems.promises import Ability, Promise
from harness.systems.topology import Topology
from harness.systems.valkey.client import ValkeyDialler
from harness.systems.valkey.server import find_server, server_version, write_config


class ValkeySystem:
    """One Valkey server whose log is synced before every answer."""

    name = "valkey"
    version = "streams"
    promises = frozenset(
        {
            Promise.EXACTLY_ONCE_LOG,
            Promise.DURABLE_CURSOR,
            Promise.FIFO_PIPELINED,
            Promise.PREFIX,
            Promise.LINEARIZABLE_APPEND,
            Promise.LINEARIZABLE_END,
            Promise.DENSE_POSITIONS,
        }
    )
    abilities = frozenset({Ability.KILL, Ability.RESTART, Ability.PAUSE})
    presence_bound_s = 0.0
    route = ""
    one_hop = True

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> BrokerDeployment:
        """Start a server in the run folder, and a proxy to it for every edge and client group."""
        # The password keeps one run's clients off another's server; it is no secret.
        password = f"{random.Random(f'{seed}/token/{run_dir}').getrandbits(128):032x}"
        port = links.ports.take()
        binary = find_server()
        config = write_config(run_dir, port, password, persistent=True)
        server = Process(
            name="valkey",
            argv=[str(binary), str(config)],
            log=run_dir / "logs" / "valkey.log",
            ready=r"Ready to accept connections",
            table=links.table,
            watches_lifeline=False,
        )
        # A command with a space more than it needs is as long as its answer, "+PONG".
        words = ProbeWords(greeting=f"AUTH {password}\r\n".encode(), ping=b"PING \r\n")
        ports = await open_client_links(topology, links, port, words)
        await server.start()
        connect = {
            "ports": ports,
            "password": password,
            "prefix": "inbox:",
            "trims": topology.retention == "ack",
        }
        return BrokerDeployment(
            server,
            connect,
            {"server_version": server_version(binary), "server_config": config.read_text()},
        )

    def connector(self, connect: Mapping[str, Any]) -> BrokerConnector:
        """Return what makes clients from the deployment's `connect`."""
        return BrokerConnector(ValkeyDialler(connect), connect["ports"])


SYSTEM = ValkeySystem()
