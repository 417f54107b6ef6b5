"""NATS as a system under test: what it promises, a server of our own, or one that runs."""

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
from harness.systems.broker.settings import (
    ENDPOINT_OPTIONS,
    Credentials,
    Endpoint,
    choose,
    choose_like,
)
from harness.systems.nats import leftovers
from harness.systems.nats.client import NatsLine, ask_version
from harness.systems.nats.core import CoreLine
from harness.systems.nats.probe import log_in
from harness.systems.nats.server import find_server, server_version, write_config
from harness.systems.port import Deployment
from harness.systems.promises import STORED_TWICE_BREAKS, Promise
from harness.systems.takes import Takes
from harness.systems.topology import Topology

SYNC_INTERVAL = "always"
"""Synced before every acknowledgement. The server's own default is every two minutes."""

RESTART_WITHIN_S = 2.0
"""From the start of the server to the first acknowledgement; 0.1 to 0.3 s on a quiet machine."""

SYNC_INTERVAL_FORM = r"always|([0-9]+(ms|s|m|h))+"


class NatsSystem:
    """One NATS server, with JetStream on files unless the options say otherwise.

    The reasons for what it promises:

    - exactly once in the log: a resend carries its ``Nats-Msg-Id``, and the stream's duplicate
      window outlasts the run;
    - a durable cursor: the key of a bucket, which is stored and synced as messages are;
    - FIFO and prefix: a sender has one connection, a stream takes in order what comes over it, and
      a refusal ends the connection, behind which everything unanswered is sent again;
    - linearizable append and end, dense positions: one stream per inbox, with one leader.

    Without JetStream it promises none of that, and does not keep what every system must keep.

    Under retention "ack" the stream is purged behind the cursor, and a server that starts reads the
    ids that it knows from the messages that are left: a resend of what was purged is stored again
    (`docs/findings.md`). So exactly once is not promised there, nor any order, which a second copy
    breaks too.
    """

    name = "nats"
    presence_bound_s = 0.0
    route = ""
    one_hop = True
    restart_within_s = RESTART_WITHIN_S
    takes = Takes(payload_bytes_max=512 * 1024, batch_bytes_max=1024 * 1024, any_names=True)
    """Whole, a server elsewhere takes messages of 1 MiB, ids and headers included. Names go into
    subjects and streams of 255 characters, in which each byte may take four."""
    options: Mapping[str, str] = {
        **ENDPOINT_OPTIONS,
        "jetstream": "on, or off: core NATS, which keeps nothing",
        "sync_interval": "how often the store is synced: always (default), or a time as 2m",
    }

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        chosen = chosen or {}
        self._endpoint = Endpoint.chosen(chosen, "nats", of_server=("sync_interval",))
        self._jetstream = choose(chosen, "jetstream", ("on", "off"), "on") == "on"
        self._sync_interval = choose_like(
            chosen, "sync_interval", SYNC_INTERVAL_FORM, "always, or a time as 500ms or 2m",
            SYNC_INTERVAL,
        )  # fmt: skip
        self._chosen = dict(chosen)
        self.version = "JetStream" if self._jetstream else "core"
        self.promises = (
            frozenset(
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
            if self._jetstream
            else frozenset[Promise]()
        )
        self.abilities = abilities_at(self._endpoint)

    def promises_in(self, topology: Topology) -> frozenset[Promise]:
        """Return what it promises: under retention "ack" a resend may be stored twice."""
        return self.promises - STORED_TWICE_BREAKS if topology.retention == "ack" else self.promises

    def configure(self, chosen: Mapping[str, str]) -> NatsSystem:
        """Return the system with these options."""
        return NatsSystem(chosen)

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
        token = token_hex(16)
        connect: dict[str, Any] = {
            "jetstream": self._jetstream,
            "trims": topology.retention == "ack",
        }
        if self._endpoint is not None:
            # The server may be in use by others: names of our own, and nothing left behind.
            connect["prefix"] = new_prefix("_")
            return await reach_endpoint(
                self._endpoint,
                topology,
                links,
                lambda at: ProbeWords(login=log_in(Credentials.at(at["endpoint"]))),
                connect=connect,
                chosen=self._chosen,
                ask_version=ask_version,
                clean_up=leftovers.remove_streams,
            )
        port = links.ports.take()
        binary = find_server()
        config = write_config(run_dir, port, token, self._sync_interval)
        server = Process(
            name="nats",
            argv=[str(binary), "--config", str(config)],
            log=run_dir / "logs" / "nats.log",
            ready=r"Server is ready",
            table=links.table,
            watches_lifeline=False,
        )
        words = ProbeWords(login=log_in(Credentials(token=token)))
        connect["token"] = token
        connect["prefix"] = "inbox_"
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

        async def dial(port: int, ears: Ears, _memory: Memory | None = None) -> NatsLine | CoreLine:
            line = (NatsLine if connect["jetstream"] else CoreLine)(port, ears, connect)
            try:
                await line.open()
            except BaseException:
                line.abort()
                raise
            return line

        return BrokerConnector(
            Dial(sender=dial, reader=dial), connect["ports"], trims=connect["trims"]
        )


SYSTEM = NatsSystem()
