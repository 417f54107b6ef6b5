"""Valkey (or Redis) as a system under test: what it promises, a server of our own, or another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.links.links import Links
from harness.links.probe import ProbeWords
from harness.processes.process import Process
from harness.systems.broker.connector import BrokerConnector
from harness.systems.broker.deployment import (
    BrokerDeployment,
    abilities_at,
    open_client_links,
    reach_endpoint,
)
from harness.systems.broker.leftovers import Cleaner, new_prefix
from harness.systems.broker.line import Dial, Ears, Memory
from harness.systems.broker.settings import ENDPOINT_OPTIONS, Credentials, Endpoint, choose
from harness.systems.port import Deployment
from harness.systems.promises import Promise
from harness.systems.takes import Takes
from harness.systems.topology import Topology
from harness.systems.valkey import leftovers
from harness.systems.valkey.client import ValkeyLine, ask_version
from harness.systems.valkey.probe import log_in
from harness.systems.valkey.server import find_server, server_version, write_config

RESTART_WITHIN_S = 2.0
"""From the start of the server to the first acknowledgement; 0.1 to 0.3 s on a quiet machine, and
more by what there is to read of its log."""

FSYNC = ("always", "everysec", "no")


class ValkeySystem:
    """One Valkey server whose log is synced before every answer, unless the options say otherwise.

    The reasons for what it promises:

    - exactly once in the log: the script that appends a batch compares it with the last n of its
      producer, which it changes in the same step, and which lies beside the stream, so that
      trimming (retention "ack") does not touch it;
    - a durable cursor: a field of a hash, stored and synced as messages are, that never moves back;
    - FIFO and prefix: a sender has one connection, on which commands are carried out in order, and
      a refusal ends it, behind which everything unanswered is sent again;
    - linearizable append and end, dense positions: one server carries out one script at a time and
      answers nobody before the log is synced.
    """

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
    presence_bound_s = 0.0
    route = ""
    one_hop = True
    restart_within_s = RESTART_WITHIN_S
    takes = Takes(
        payload_bytes_max=512 * 1024, batch_bytes_max=1024 * 1024, inbox_bytes_max=128,
        any_names=True, senders_more=150, messages_more=100_000,
    )  # fmt: skip
    """Keys take any bytes, and a batch is one script."""
    options: Mapping[str, str] = {
        **ENDPOINT_OPTIONS,
        "appendonly": "yes, or no: everything is in memory only",
        "appendfsync": "when the log is synced: always (default), everysec or no",
    }

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        chosen = chosen or {}
        self._endpoint = Endpoint.chosen(chosen, "valkey", of_server=("appendonly", "appendfsync"))
        self._chosen = dict(chosen)
        self._server_options = {
            "appendonly": choose(chosen, "appendonly", ("yes", "no"), "yes"),
            "appendfsync": choose(chosen, "appendfsync", FSYNC, "always"),
        }
        self.abilities = abilities_at(self._endpoint)

    def configure(self, chosen: Mapping[str, str]) -> ValkeySystem:
        """Return the system with these options."""
        return ValkeySystem(chosen)

    def cleaner(self) -> Cleaner | None:
        """Return how to find and remove what runs have left at the endpoint."""
        if self._endpoint is None:
            return None
        return Cleaner(
            endpoint=self._endpoint, connect={}, find=leftovers.find, remove=leftovers.remove
        )

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> Deployment:
        """Start a server in the run folder, and a proxy to it for every edge and client group."""
        # Keeps everybody else on this machine off a server of our own.
        password = token_hex(16)
        connect: dict[str, Any] = {"trims": topology.retention == "ack"}
        if self._endpoint is not None:
            # The server may be in use by others: names of our own, and nothing left behind.
            connect["prefix"] = new_prefix(":")
            return await reach_endpoint(
                self._endpoint,
                topology,
                links,
                lambda at: ProbeWords(login=log_in(Credentials.at(at["endpoint"]))),
                connect=connect,
                chosen=self._chosen,
                ask_version=ask_version,
                clean_up=leftovers.remove_keys,
            )
        port = links.ports.take()
        binary = find_server()
        config = write_config(run_dir, port, password, self._server_options)
        server = Process(
            name="valkey",
            argv=[str(binary), str(config)],
            log=run_dir / "logs" / "valkey.log",
            ready=r"Ready to accept connections",
            table=links.table,
            watches_lifeline=False,
        )
        connect["password"] = password
        connect["prefix"] = "inbox:"
        words = ProbeWords(login=log_in(Credentials(password=password)))
        connect["ports"] = await open_client_links(topology, links, port, words)
        await server.start()
        return BrokerDeployment(
            server,
            connect,
            {
                **self._chosen,
                "server_version": server_version(binary),
                "server_config": config.read_text(),
            },
        )

    def connector(self, connect: Mapping[str, Any]) -> BrokerConnector:
        """Return what makes clients from the deployment's `connect`."""

        async def dial(port: int, ears: Ears, _memory: Memory | None = None) -> ValkeyLine:
            line = ValkeyLine(port, ears, connect)
            try:
                await line.open()
            except BaseException:
                line.abort()
                raise
            return line

        return BrokerConnector(
            Dial(sender=dial, reader=dial), connect["ports"], trims=connect["trims"]
        )


SYSTEM = ValkeySystem()
