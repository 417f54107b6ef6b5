"""A bench for one adapter: the system deployed behind proxies, and clients that note everything."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import numpy as np

from harness.conform.broken import Broken
from harness.links.links import Links
from harness.load.payloads import Payloads
from harness.processes.table import ProcessTable
from harness.systems.port import (
    Batch,
    Connector,
    Delivery,
    Deployment,
    Login,
    OutboxFull,
    Outcome,
    System,
)
from harness.systems.topology import Topology

EDGES = ("one", "two")
LATENCY_MS = 25
"""One way, so that at any moment some messages are on their way and some answers on theirs."""

PLAIN, RESET = "plain", "reset"
"""Client groups: every close of a connection of the second is a TCP reset."""

WAIT_S = 30.0
"""How long anything is waited for; a broker that was killed may take most of it."""

POLL_S = 0.01
SIZE_BYTES_MAX = 700


class Bench:
    """The deployed system, and what makes clients of it in this process.

    Attributes:
        system: As it was asked for.
        deployment: As it runs.
        links: Its proxies; "client-edge:one:plain" is one of them.
    """

    def __init__(
        self, system: System, deployment: Deployment, links: Links, connector: Connector, seed: int
    ) -> None:
        self.system = system
        self.deployment = deployment
        self.links = links
        self.connector = connector
        self.payloads = Payloads(seed, "random", 1, SIZE_BYTES_MAX)
        self._rng = random.Random(f"{seed}/conform")
        self._inboxes = 0

    def inbox(self, name: str = "inbox") -> str:
        """Return a name that was not used yet."""
        self._inboxes += 1
        return f"{name} {self._inboxes}"

    def writer(self, inbox: str, group: str = PLAIN) -> Writer:
        """Return a sender of one fresh producer to one inbox."""
        return Writer(self, inbox, self._rng.getrandbits(64), group)

    def reader(self, inbox: str, group: str = PLAIN) -> Reader:
        """Return a receiver of one inbox."""
        return Reader(self, inbox, group)


async def until(condition: Callable[[], bool], what: str, *, within_s: float = WAIT_S) -> None:
    """Wait until a condition holds.

    Raises:
        Broken: It does not in time; says what was waited for.
    """
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise Broken(f"{what}: not within {within_s:g} s")
        await anyio.sleep(POLL_S)


class Writer:
    """A sender, and what became of each message.

    Attributes:
        outcomes: (outcome, position) by n.
        told: How often each n was told about.
        lost: How often the connection ended without our doing.
    """

    def __init__(self, bench: Bench, inbox: str, producer: int, group: str) -> None:
        self.inbox = inbox
        self.producer = producer
        self.outcomes: dict[int, tuple[str, int]] = {}
        self.told: dict[int, int] = {}
        self.lost = 0
        self.submitted = 0
        self._up = False
        self._payloads = bench.payloads
        self.sender = bench.connector.sender(
            producer=producer, group=group, outcomes=self._on_outcome, lost=self._on_lost
        )

    def _on_outcome(self, outcome: Outcome) -> None:
        for offset in range(outcome.count):
            pos = -1 if outcome.pos_first < 0 else outcome.pos_first + offset
            n = outcome.n_first + offset
            self.outcomes[n] = (outcome.outcome, pos)
            self.told[n] = self.told.get(n, 0) + 1

    def _on_lost(self, _cause: str) -> None:
        self._up = False
        self.lost += 1

    async def connect(self, edge: str = EDGES[0]) -> None:
        """Connect, again and again until it works.

        Raises:
            Broken: It did not in time.
        """
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                await self.sender.connect(edge)
            except ConnectionError as error:
                if time.monotonic() > deadline_s:
                    raise Broken(f"no sender connects: {error}") from error
                await anyio.sleep(POLL_S)
            else:
                self._up = True
                return

    async def disconnect(self) -> None:
        """Cut it."""
        self._up = False
        await self.sender.disconnect()

    def submit(self, count: int, *, batch_count: int = 5) -> None:
        """Hand over so many messages, in batches."""
        end = self.submitted + count
        while self.submitted < end:
            size = min(batch_count, end - self.submitted)
            lengths, body = self._payloads.make(self.producer, self.inbox, self.submitted, size)
            self.sender.submit(
                Batch(
                    inbox=self.inbox, producer=self.producer, n_first=self.submitted, count=size,
                    lengths=lengths, body=body,
                )
            )  # fmt: skip
            self.submitted += size

    def fill(self) -> int:
        """Hand over until there is no room; return how many messages were taken.

        Raises:
            Broken: There is always room.
        """
        for _ in range(10_000):
            try:
                self.submit(100, batch_count=100)
            except OutboxFull:
                return self.submitted
        raise Broken("an outbox that nobody empties takes everything")

    async def settle(self, *, edge: str = EDGES[0]) -> None:
        """Wait until every message has an outcome, connecting again whenever that is lost."""
        deadline_s = time.monotonic() + WAIT_S
        while len(self.outcomes) < self.submitted:
            if not self._up:
                await self.connect(edge)
            if time.monotonic() > deadline_s:
                missing = self.submitted - len(self.outcomes)
                raise Broken(f"{missing} of {self.submitted} messages never got an outcome")
            await anyio.sleep(POLL_S)

    def ids(self, outcome: str) -> set[int]:
        """Return the n of all messages with an outcome."""
        return {n for n, (word, _) in self.outcomes.items() if word == outcome}


class Reader:
    """A receiver, and what it was given.

    Attributes:
        got: (position, producer, n) in the order of arrival, over all its sessions.
        last_pos: The last position of the present session, or where it began.
        acked: The positions whose acknowledgement was confirmed.
        lost: How often a session ended without our doing.
        wrong: How many messages had another content than was sent.
    """

    def __init__(self, bench: Bench, inbox: str, group: str) -> None:
        self.inbox = inbox
        self.got: list[tuple[int, int, int]] = []
        self.acked: list[int] = []
        self.lost = 0
        self.wrong = 0
        self.last_pos = -1
        self._payloads = bench.payloads
        self.receiver = bench.connector.receiver(
            inbox=inbox, group=group, deliveries=self._on_delivery, acks=self._on_ack,
            lost=self._on_lost,
        )  # fmt: skip

    def _on_delivery(self, delivery: Delivery) -> None:
        bounds = np.zeros(len(delivery.lengths) // 4 + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(delivery.lengths, dtype="<u4"), out=bounds[1:])
        pos, at = delivery.pos_first, 0
        for run in delivery.runs:
            lengths = delivery.lengths[4 * at : 4 * (at + run.count)]
            body = delivery.body[int(bounds[at]) : int(bounds[at + run.count])]
            self.wrong += len(
                self._payloads.check(
                    run.producer, self.inbox, run.n_first, run.count, lengths, body
                )
            )
            for offset in range(run.count):
                self.got.append((pos + offset, run.producer, run.n_first + offset))
            pos += run.count
            at += run.count
        self.last_pos = max(self.last_pos, pos - 1)

    def _on_ack(self, _session: int, upto: int, outcome: str) -> None:
        if outcome == "ok":
            self.acked.append(upto)

    def _on_lost(self, _session: int, _cause: str) -> None:
        self.lost += 1

    async def login(self, from_pos: int = -1, *, edge: str = EDGES[0]) -> Login:
        """Log in, again and again until it works.

        Raises:
            Broken: It did not in time.
        """
        deadline_s = time.monotonic() + WAIT_S
        while True:
            self.last_pos = from_pos
            try:
                login = await self.receiver.login(edge, from_pos)
            except ConnectionError as error:
                if time.monotonic() > deadline_s:
                    raise Broken(f"no receiver logs in: {error}") from error
                await anyio.sleep(POLL_S)
            else:
                # Deliveries may have come before the login returned.
                self.last_pos = max(self.last_pos, login.next_pos - 1)
                return login

    async def read_to_end(self) -> int:
        """Wait until everything up to the present end has come; return the end."""
        try:
            end = await self.receiver.end()
        except ConnectionError as error:
            raise Broken(f"the end could not be read: {error}") from error
        await until(lambda: self.last_pos >= end, f"reading up to the end, {end}")
        return end

    def ids_of(self, writer: Writer) -> list[int]:
        """Return the n that came from a writer, by position."""
        return [n for _, producer, n in sorted(self.got) if producer == writer.producer]


def topology_of(retention: Literal["run", "ack"]) -> Topology:
    """Return what is deployed for the cases of a retention."""
    return Topology(
        edges=EDGES,
        latency_ms=dict.fromkeys(EDGES, LATENCY_MS),
        client_groups=(PLAIN, RESET),
        retention=retention,
    )


@asynccontextmanager
async def on_bench(
    system: System, toxiproxy: Path, run_dir: Path, seed: int, topology: Topology
) -> AsyncIterator[Bench]:
    """Yield the bench with the system deployed on it, and take it down again whatever happens.

    `topology` comes from `topology_of`.

    Raises:
        HarnessError: Something did not start.
    """
    (run_dir / "logs").mkdir(parents=True, exist_ok=True)
    table = ProcessTable(run_dir)
    links = await Links.start(
        toxiproxy, run_dir=run_dir, table=table, resets=[f"client-edge:*:{RESET}"]
    )
    deployment: Deployment | None = None
    try:
        deployment = await system.deploy(topology, links, run_dir, seed)
        async with system.connector(deployment.connect) as connector:
            yield Bench(system, deployment, links, connector, seed)
    finally:
        with anyio.CancelScope(shield=True):
            if deployment is not None:
                await deployment.teardown()
            await links.close()
