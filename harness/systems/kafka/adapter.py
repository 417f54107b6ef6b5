"""Kafka as a system under test: what it promises, a server of our own, or one that runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread

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
from harness.systems.broker.settings import ENDPOINT_OPTIONS, Endpoint, choose, choose_like
from harness.systems.kafka import admin
from harness.systems.kafka.client import (
    ConsumerLine,
    ProducerLine,
    dial_reader,
    dial_sender,
)
from harness.systems.kafka.names import security
from harness.systems.kafka.probe import log_in
from harness.systems.kafka.server import (
    READY_WITHIN_S,
    STOP_WITHIN_S,
    ensure_jars,
    format_store,
    java_words,
    server_version,
    write_config,
)
from harness.systems.port import Deployment
from harness.systems.promises import STORED_TWICE_BREAKS, Promise
from harness.systems.takes import Takes
from harness.systems.topology import Topology

RESTART_WITHIN_S = 20.0
"""From the start of the broker to the first acknowledgement; 9 s on a quiet machine, 15 s on one
that is busy. Most of it is Java, and the broker's election as a controller."""

ACKS: Mapping[str, int | str] = {"all": "all", "1": 1, "0": 0}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaSystem:
    """One Kafka broker, with idempotent producers that wait for all replicas.

    The reasons for what it promises:

    - exactly once in the log: producers are idempotent, and each is kept over all its connections,
      since Kafka recognises a resend by the producer's id and sequence numbers;
    - FIFO and prefix: sequence numbers must follow one another, and one request at a time is under
      way to a partition;
    - a durable cursor: a committed offset;
    - linearizable append and end, dense positions: one partition per inbox with one leader, whose
      high watermark is what readers see; nothing here writes transactions, whose marks would take
      offsets of their own.

    With ``acks`` 0 or 1, or without idempotence, exactly once is not promised, nor any order, which
    a second copy of a message breaks too. With ``acks`` 0 a message may come at any time anyhow.
    Kafka does not sync its log by itself; `flush` makes it do so.
    """

    name = "kafka"
    version = "4"
    presence_bound_s = 0.0
    route = ""
    one_hop = True
    restart_within_s = RESTART_WITHIN_S
    takes = Takes(payload_bytes_max=512 * 1024, batch_bytes_max=900 * 1024, any_names=True)
    """Whole, a server elsewhere takes requests of 1 MiB, ids and headers included. Names go into
    topics of 249 characters, in which each byte may take four."""
    options: Mapping[str, str] = {
        **ENDPOINT_OPTIONS,
        "acks": "whom a producer waits for: all (default), 1 or 0",
        "idempotence": "on (default with acks=all) or off",
        "flush": "messages after which the log is synced: 1 (default), or more",
        "committed": "checked (default), or aiokafka: as that library tells it (docs/findings.md)",
        "mechanism": f"how `user` logs in: {', '.join(MECHANISMS)}",
    }

    def __init__(self, chosen: Mapping[str, str] | None = None) -> None:
        chosen = chosen or {}
        self._endpoint = Endpoint.chosen(chosen, "kafka", of_server=("flush",))
        self._acks = choose(chosen, "acks", tuple(ACKS), "all")
        self._flush = choose_like(
            chosen, "flush", r"[1-9][0-9]{0,17}", "a number of messages, 1 or more", "1"
        )
        strong = self._acks == "all"
        allowed = ("on", "off") if strong else ("off",)
        self._idempotence = choose(chosen, "idempotence", allowed, allowed[0]) == "on"
        self._committed = choose(chosen, "committed", ("checked", "aiokafka"), "checked")
        self._mechanism = choose(chosen, "mechanism", MECHANISMS, "PLAIN")
        self._chosen = dict(chosen)
        promises = {
            Promise.DURABLE_CURSOR,
            Promise.LINEARIZABLE_END,
            Promise.DENSE_POSITIONS,
        }
        if self._idempotence:
            promises |= STORED_TWICE_BREAKS
        self.promises = frozenset(promises)
        self.abilities = abilities_at(self._endpoint)

    def configure(self, chosen: Mapping[str, str]) -> KafkaSystem:
        """Return the system with these options."""
        return KafkaSystem(chosen)

    def cleaner(self) -> Cleaner | None:
        """Return how to find and remove what runs have left at the endpoint."""
        if self._endpoint is None:
            return None
        return Cleaner(
            endpoint=self._endpoint,
            connect={"mechanism": self._mechanism},
            find=admin.find,
            remove=admin.remove,
        )

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> Deployment:
        """Start a server in the run folder, and a proxy to it for every edge and client group.

        Retention "ack" keeps everything too: trimming is left out.
        """
        connect: dict[str, Any] = {
            "acks": ACKS[self._acks],
            "idempotence": self._idempotence,
            "mechanism": self._mechanism,
            "checks_cursor": self._committed == "checked",
        }
        if self._endpoint is not None:
            # The server may be in use by others: names of our own, and nothing left behind.
            connect["prefix"] = new_prefix("-")
            return await reach_endpoint(
                self._endpoint,
                topology,
                links,
                lambda at: ProbeWords(login=log_in(security(at))),
                connect=connect,
                chosen=self._chosen,
                ask_version=admin.ask_version,
                clean_up=admin.remove_topics,
            )
        jars = await anyio.to_thread.run_sync(ensure_jars, _say)
        port = links.ports.take()
        connect["prefix"] = "inbox-"
        words = ProbeWords(login=log_in(security(connect)))
        connect["ports"] = await open_client_links(topology, links, port, words)
        # Whoever follows what the broker says of itself comes to a proxy again.
        advertised = next(iter(connect["ports"].values()))
        more = {"log.flush.interval.messages": self._flush}
        config = write_config(run_dir, port, links.ports.take(), advertised, more)
        await anyio.to_thread.run_sync(format_store, jars, config)
        server = Process(
            name="kafka",
            argv=[*java_words(jars, "kafka.Kafka"), str(config)],
            log=run_dir / "logs" / "kafka.log",
            ready=r"Kafka Server started",
            table=links.table,
            watches_lifeline=False,
        )
        await server.start(within_s=READY_WITHIN_S)
        return BrokerDeployment(
            server,
            connect,
            {
                **self._chosen,
                "acks": self._acks,
                "idempotence": self._idempotence,
                "server_version": server_version(jars),
                "server_config": config.read_text(),
            },
            start_within_s=READY_WITHIN_S,
            stop_within_s=STOP_WITHIN_S,
        )

    def connector(self, connect: Mapping[str, Any]) -> BrokerConnector:
        """Return what makes clients from the deployment's `connect`."""

        async def sender(port: int, ears: Ears, memory: Memory) -> ProducerLine:
            return await dial_sender(connect, port, ears, memory)

        async def reader(port: int, ears: Ears) -> ConsumerLine:
            return await dial_reader(connect, port, ears)

        return BrokerConnector(Dial(sender=sender, reader=reader), connect["ports"])


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


SYSTEM = KafkaSystem()
