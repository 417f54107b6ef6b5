"""A second system under test: a queue in memory. The example of an adapter.

Run any scenario that needs no ability on it with ``--system harness.testing.queue_system:SYSTEM``.
The queue itself is `harness.testing.queue_server`. What it takes to put a system under test is its
clients and what makes them inside the load processes (`harness.testing.queue_clients`), the running
system (`QueueDeployment`), and the `QueueSystem` that ties them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread
from anyio.from_thread import start_blocking_portal

from harness.errors import HarnessError
from harness.faults.targets import ProcessTarget
from harness.links.links import Links, LinkWanted
from harness.systems.port import NodeUsage
from harness.systems.promises import Ability, Promise
from harness.systems.topology import Topology, client_links
from harness.testing.queue_clients import QueueConnector
from harness.testing.queue_server import Queue, pack, serving


class QueueDeployment:
    """The running queue, in a thread of this process. It cannot do what it has no ability for."""

    def __init__(self, running: ExitStack, connect: Mapping[str, Any]) -> None:
        self._running = running
        self.connect = connect
        self.config: Mapping[str, Any] = {}

    def targets(self) -> Sequence[ProcessTarget]:
        """Return none: the queue has no process of its own."""
        return ()

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Return none."""
        return []

    def usage(self) -> list[NodeUsage]:
        """Return none: what it uses is part of the harness' own process."""
        return []

    def find_dead(self) -> list[str]:
        """Return none: a thread does not die alone."""
        return []

    async def teardown(self) -> None:
        """Stop the server and its thread. Idempotent."""
        await anyio.to_thread.run_sync(self._running.close)


class QueueSystem:
    """The queue as a system under test; every edge is a way to the same server.

    Args:
        lose_every: See `Queue`.
        doubles: See `Queue`.
        sleeps_s: How long its clients sleep after an attempt to connect that failed.
    """

    name = "queue"
    version = "1"
    promises = frozenset(
        {
            Promise.EXACTLY_ONCE_LOG,
            Promise.FIFO_PIPELINED,
            Promise.PREFIX,
            Promise.LINEARIZABLE_APPEND,
            Promise.LINEARIZABLE_END,
            Promise.DENSE_POSITIONS,
        }
    )
    abilities: frozenset[Ability] = frozenset()
    presence_bound_s = 0.0
    route = ""
    one_hop = True

    def __init__(
        self, *, lose_every: int = 0, doubles: bool = False, sleeps_s: float = 0.0
    ) -> None:
        self._sleeps_s = sleeps_s
        self._lose_every = lose_every
        self._doubles = doubles

    async def deploy(
        self, topology: Topology, links: Links, run_dir: Path, seed: int
    ) -> QueueDeployment:
        """Start the server, and a proxy to it for every edge and client group.

        `Topology.latency_ms` delays these links: there is nothing behind an edge. No options.
        """
        if topology.options:
            raise HarnessError(f"unknown options of the queue: {', '.join(topology.options)}")
        port = links.ports.take()
        opened = await links.open_all(
            [
                LinkWanted(
                    name=link,
                    upstream_port=port,
                    latency_ms=topology.latency_ms.get(edge, 0),
                    probe=pack("hello"),
                )
                for edge in topology.edges
                for link in client_links(topology, edge)
            ]
        )
        ports = {link.name: link.listen_port for link in opened}
        queue = Queue(lose_every=self._lose_every, doubles=self._doubles)
        with ExitStack() as starting:
            portal = starting.enter_context(start_blocking_portal())
            starting.enter_context(portal.wrap_async_context_manager(serving(queue, port)))
            return QueueDeployment(starting.pop_all(), {"ports": ports, "sleeps_s": self._sleeps_s})

    def connector(self, connect: Mapping[str, Any]) -> QueueConnector:
        """Return what makes clients from the deployment's `connect`."""
        return QueueConnector(connect)


SYSTEM = QueueSystem()

SYSTEM_LOSING = QueueSystem(lose_every=50)
"""Broken on purpose: a run of it must end in FAIL with A1."""

SYSTEM_DOUBLING = QueueSystem(doubles=True)
"""Broken on purpose: a run of it must end in FAIL with A7 once anything is sent again."""

SYSTEM_SLEEPING = QueueSystem(sleeps_s=2.0)
"""Broken on purpose: its clients sleep inside `connect`, as those of libraries do, and the
conformance suite must see it."""
