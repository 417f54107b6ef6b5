"""Real nodes and real clients for integration tests, on loopback ports that the system chooses."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import numpy as np

from harness.testing.keys import (
    ADMIN_KEY,
    CLIENT_KEY,
    EDGE_KEY,
    SERVICE_TOKEN,
    admin_token,
    client_token,
    edge_token,
)
from harness.testing.segments import segment
from reference.client.outcomes import Acknowledged, OutboxFull, SenderOutcome
from reference.client.receiver import ReceiverSettings
from reference.client.sender import SenderSettings
from reference.identity import account_of
from reference.node.client_hub import ClientHub
from reference.node.receiver_client import ReceiverClient
from reference.node.sender_client import SenderClient
from reference.node.settings import FROM_ENVIRONMENT
from reference.wire.messages import Delivery

START_WITHIN_S = 15.0
END_WITHIN_S = 10.0
TOKEN = SERVICE_TOKEN
EDGE_TOKEN = edge_token("eu-west")
ADMIN_TOKEN = admin_token()
CORE_KEYS = {"edge_key": EDGE_KEY, "admin_key": ADMIN_KEY}
EDGE_KEYS = {"client_key": CLIENT_KEY, "admin_key": ADMIN_KEY}

SETTINGS_VARIABLE = "TALLYSTICK_NODE"
"""Environment variable that brings a node its settings."""


class Node:
    """One node process. It dies with the test: its lifeline is our end of a pipe."""

    def __init__(
        self, role: str, settings: Mapping[str, Any], *, program: Sequence[str] = ()
    ) -> None:
        """Start it and wait for its ready line; `program` replaces `-m reference.node <role>`."""
        self._role = role
        self._settings = {**settings, "lifeline": True}
        self._program = tuple(program) or ("-m", "reference.node", role)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the node.
        self.port = int(settings.get("port", 0))
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {**self._settings, "port": self.port}
        process = subprocess.Popen(
            [sys.executable, *self._program, f"{FROM_ENVIRONMENT}{SETTINGS_VARIABLE}"],
            env={**os.environ, SETTINGS_VARIABLE: json.dumps(settings)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(START_WITHIN_S) else b""
        if not line.startswith(b"ready "):
            process.kill()
            raise AssertionError(f"{self._role}: no ready line: {self.log()}")
        self.port = json.loads(line[6:])["port"]
        return process

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, wait; return the exit code and what stood on stderr."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what stood on stderr."""
        try:
            code = self.process.wait(END_WITHIN_S)
        finally:
            self._end_process()
        return code, self.log()

    def restart(self) -> None:
        """Start it again on the same port, after its end."""
        self.process = self._spawn()

    def close(self) -> None:
        """Kill it if it still runs."""
        self._end_process()
        self._log.close()

    def _end_process(self) -> None:
        process = self.process
        if process.poll() is None:
            process.kill()
            process.wait(END_WITHIN_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def log(self) -> str:
        """Return what the node has logged so far."""
        self._log.seek(0)
        return self._log.read().decode()


class Cluster:
    """A core and edges; a context manager."""

    def __init__(self, folder: Path, *edges: str, core: Mapping[str, Any] | None = None) -> None:
        settings = {**CORE_KEYS, **(core or {})}
        self.core = Node("core", {"database": str(folder / "core.db"), "core": settings})
        self.edges: list[Node] = []
        try:
            for name in edges or ("eu-west",):
                self.edges.append(self._edge(name))
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def _edge(self, name: str) -> Node:
        edge = {"name": name, "token": edge_token(name), **EDGE_KEYS}
        return Node("edge", {"core_port": self.core.port, "edge": edge})

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in (*self.edges, self.core):
            node.close()


async def until(condition: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    """Wait for a condition, looking every 10 ms.

    Raises:
        AssertionError: It did not become true in time.
    """
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        await anyio.sleep(0.01)


class Writer:
    """A sender that numbers batches, keeps every outcome and connects again when it is cut."""

    def __init__(self, hub: ClientHub, producer: int = 7, **settings: Any) -> None:
        self.outcomes: list[SenderOutcome] = []
        self.acked: dict[str, int] = {}
        self.lost = 0
        self.producer = producer
        self._n: dict[str, int] = {}
        self.client = SenderClient(
            hub,
            SenderSettings(
                producer=producer,
                token=client_token(f"writer-{producer}", account_of(producer)),
                name=f"writer-{producer}",
                **settings,
            ),
            outcomes=self._outcome,
            lost=self._was_lost,
        )

    def _outcome(self, outcome: SenderOutcome) -> None:
        self.outcomes.append(outcome)
        if isinstance(outcome, Acknowledged):
            assert self.acked.get(outcome.inbox, 0) == outcome.n_first, "acknowledged out of order"
            self.acked[outcome.inbox] = outcome.n_first + outcome.count

    def _was_lost(self, cause: str) -> None:
        self.lost += 1

    def write(self, inbox: str, count: int, *, size_bytes: int = 20) -> bool:
        """Submit the next batch; return False where the outbox is full."""
        n = self._n.get(inbox, 0)
        batch = segment(n, count, inbox=inbox, producer=self.producer, size_bytes=size_bytes)
        try:
            self.client.submit(batch)
        except OutboxFull:
            return False
        self._n[inbox] = n + count
        return True

    def written(self, inbox: str) -> int:
        """Return how many messages were submitted."""
        return self._n.get(inbox, 0)

    async def all_acked(self) -> None:
        """Wait until everything submitted is acknowledged."""
        await until(lambda: self.acked == self._n, f"acked {self.acked} of {self._n}")


class Reader:
    """A receiver that checks content and order, keeps its own place and acknowledges at once."""

    def __init__(self, hub: ClientHub, inbox: str) -> None:
        self.inbox = inbox
        self.ids: list[tuple[int, int]] = []
        self.next_pos = 0
        self.cursor = -1
        self.lost: list[bool] = []
        self.client = ReceiverClient(
            hub,
            ReceiverSettings(inbox=inbox, token=client_token(inbox), name=f"reader-{inbox}"),
            deliveries=self._delivered,
            acks=self._acked,
            lost=self._was_lost,
        )

    def _delivered(self, delivery: Delivery) -> None:
        assert delivery.pos_first == self.next_pos, "a gap or a message twice"
        self.next_pos += delivery.count
        lengths = np.frombuffer(delivery.lengths, dtype="<u4")
        starts = np.cumsum(lengths) - lengths
        at = 0
        for run in delivery.runs:
            for n in range(run.n_first, run.n_first + run.count):
                start = int(starts[at])
                body = delivery.body[start : start + int(lengths[at])]
                assert body[:4] == n.to_bytes(4, "little"), "the body of another message"
                at += 1
                self.ids.append((run.producer, n))
        self.client.ack(self.next_pos - 1)

    def _acked(self, session: int, upto: int) -> None:
        self.cursor = max(self.cursor, upto)

    def _was_lost(self, session: int, superseded: bool, cause: str) -> None:
        self.lost.append(superseded)

    async def login(self, port: int) -> None:
        """Open a session behind what was received."""
        await self.client.login("127.0.0.1", port, self.next_pos - 1)

    async def has(self, count: int) -> None:
        """Wait until so many messages came, and no more than these."""
        await until(lambda: self.next_pos >= count, f"{self.next_pos} of {count} messages")
        assert self.next_pos == count
        assert len(set(self.ids)) == count
