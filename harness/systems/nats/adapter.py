"""NATS JetStream as a system under test: a server of our own, and what it promises."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.links.links import Links
from harness.links.probe import ProbeWords
from harness.processes.process import Process
from harness.systems.broker.clients import BrokerConnector
from harness.systems.broker.deployment import BrokerDeployment, open_client_links
from harness.systems.nats.client import NatsDialler
from harness.systems.nats.server import find_server, server_version, write_config
from harness.systems.promises import Ability, Promise
from harness.systems.topology import Topology


class NatsSystem:
    """One NATS server with JetStream on files."""

    name = "nats"
    version = "JetStream"
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
        # The token keeps one run's clients off another's server; it is no secret.
        token = f"{random.Random(f'{seed}/token/{run_dir}').getrandbits(128):032x}"
        port = links.ports.take()
        binary = find_server()
        config = write_config(run_dir, port, token)
        server = Process(
            name="nats",
            argv=[str(binary), "--config", str(config)],
            log=run_dir / "logs" / "nats.log",
            ready=r"Server is ready",
            table=links.table,
            watches_lifeline=False,
        )
        login = json.dumps({"verbose": False, "pedantic": False, "auth_token": token})
        words = ProbeWords(
            banner=True,  # INFO
            greeting=f"CONNECT {login}\r\nPING\r\n".encode(),
            ping=b"PING\r\n",
        )
        ports = await open_client_links(topology, links, port, words)
        await server.start()
        connect = {
            "ports": ports,
            "token": token,
            "prefix": "inbox_",
            "trims": topology.retention == "ack",
        }
        return BrokerDeployment(
            server,
            connect,
            {"server_version": server_version(binary), "server_config": config.read_text()},
        )

    def connector(self, connect: Mapping[str, Any]) -> BrokerConnector:
        """Return what makes clients from the deployment's `connect`."""
        return BrokerConnector(NatsDialler(connect), connect["ports"])


SYSTEM = NatsSystem()
