"""A running broker: one server of our own on loopback, every client link behind its proxy."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio

from harness.addresses import Address
from harness.errors import HarnessError
from harness.faults.targets import ProcessTarget
from harness.links.links import Links, LinkWanted
from harness.links.ports import LOOPBACK
from harness.links.probe import ProbeWords
from harness.processes.process import READY_WITHIN_S, STOP_WITHIN_S, Process
from harness.systems.broker.leftovers import RunLock, run_of
from harness.systems.broker.line import Unavailable
from harness.systems.broker.settings import Endpoint
from harness.systems.port import NodeUsage
from harness.systems.promises import Ability
from harness.systems.topology import Topology, client_links

CLEAN_UP_WITHIN_S = 10.0
"""Deadline for removing what a run has made at a server of somebody else's."""

REACH_WITHIN_S = 5.0
"""Deadline for a server of somebody else's to accept a connection, and for it to accept us."""

CORE = "core"
"""What scenarios call the node that stores: for a broker, its server."""


async def open_client_links(
    topology: Topology,
    links: Links,
    upstream_port: int,
    words: ProbeWords,
    *,
    upstream_host: str = LOOPBACK,
) -> dict[str, int]:
    """Open a proxy to the broker for every edge and client group; return link → port.

    A broker has no edges: each is a region, and the latency that the topology gives it lies on the
    clients' own links. `words` are what the broker understands of a probe.
    """
    opened = await links.open_all(
        [
            LinkWanted(
                name=name,
                upstream_host=upstream_host,
                upstream_port=upstream_port,
                latency_ms=topology.latency_ms.get(edge, 0),
                probe=words.greeting,
                ping=words.ping,
                banner=words.banner,
                login=words.login,
            )
            for edge in topology.edges
            for name in client_links(topology, edge)
        ]
    )
    return {link.name: link.listen_port for link in opened}


def abilities_at(endpoint: Endpoint | None) -> frozenset[Ability]:
    """Return what can be done to the server: nothing to one that somebody else runs."""
    if endpoint is not None:
        return frozenset()
    return frozenset({Ability.KILL, Ability.RESTART, Ability.PAUSE})


async def reach_endpoint(
    endpoint: Endpoint,
    topology: Topology,
    links: Links,
    words_at: Callable[[Mapping[str, Any]], ProbeWords],
    *,
    connect: Mapping[str, Any],
    chosen: Mapping[str, str],
    ask_version: Callable[[Mapping[str, Any], int], Awaitable[str]],
    clean_up: Callable[[Mapping[str, Any], int], Awaitable[None]],
) -> EndpointDeployment:
    """Put a server that somebody else runs behind proxies, once it has taken us in.

    `connect` names in its "prefix" what the run may make there, since others may use the server.
    `words_at` returns what the server understands of a probe, from `connect` with its "endpoint".
    `ask_version` logs in through one of the proxies and returns what the server says it is.

    Raises:
        HarnessError: Nobody listens there, or the server does not accept us.
    """
    at = await first_that_answers(endpoint.addresses)
    connect = {**connect, "endpoint": endpoint.as_connect(at)}
    words = words_at(connect)
    ports = await open_client_links(topology, links, at.port, words, upstream_host=at.host)
    reached = {**connect, "ports": ports}
    try:
        with anyio.fail_after(REACH_WITHIN_S):
            version = await ask_version(reached, next(iter(ports.values())))
    except (Unavailable, OSError, TimeoutError) as error:
        raise HarnessError(
            f"the server at endpoint {at} does not accept us ({_cause(error)}): "
            "see --user, --password, --token and --ca-file"
        ) from error
    config = {**chosen, **endpoint.as_config(at), "server_version": version}
    if left := [str(one) for one in endpoint.addresses if one != at]:
        note = f"endpoint {at} answered first; all went there, and nothing to {', '.join(left)}"
        sys.stderr.write(f"{note}\n")
        config["notes"] = [note]
    return EndpointDeployment(reached, config, clean_up, RunLock.hold(run_of(connect["prefix"])))


async def first_that_answers(addresses: Sequence[Address]) -> Address:
    """Return the first address where somebody takes a connection, in the order they are named.

    Raises:
        HarnessError: There is none.
    """
    trouble: list[str] = []
    for one in addresses:
        try:
            with anyio.fail_after(REACH_WITHIN_S):
                stream = await anyio.connect_tcp(one.host, one.port)
                await stream.aclose()
        except (OSError, TimeoutError) as error:
            trouble.append(f"{one} ({_cause(error)})")
        else:
            return one
    raise HarnessError(
        f"nothing to connect to at endpoint {', '.join(trouble)}: is the server up there?"
    )


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {REACH_WITHIN_S:g} s"
    return str(error) or type(error).__name__


class BrokerDeployment:
    """A server that the harness started. It can be killed, stopped, paused and started again."""

    def __init__(
        self,
        server: Process,
        connect: Mapping[str, Any],
        config: Mapping[str, Any],
        *,
        start_within_s: float = READY_WITHIN_S,
        stop_within_s: float = STOP_WITHIN_S,
    ) -> None:
        self._server = server
        self._start_within_s = start_within_s
        self._stop_within_s = stop_within_s
        self._expected_down = False
        self._torn_down = False
        self.connect = connect
        self.config = config

    def targets(self) -> Sequence[ProcessTarget]:
        """Return the server, under the name "core"."""

        async def kill() -> None:
            await self.kill(CORE, 0)

        async def stop() -> None:
            await self.stop(CORE, 0)

        async def start() -> None:
            await self.start(CORE, 0)

        # What runs below our lifeline is the server; the lifeline itself is not to be paused.
        return [
            ProcessTarget(
                name=CORE,
                kill=kill,
                terminate=stop,
                start=start,
                pid=lambda: self._server.command_pid,
            )
        ]

    async def kill(self, role: str, index: int) -> None:
        """SIGKILL the server."""
        self._find(role, index)
        self._expected_down = True
        await self._server.kill()

    async def stop(self, role: str, index: int) -> None:
        """SIGTERM the server."""
        self._find(role, index)
        self._expected_down = True
        if not await self._server.stop(within_s=self._stop_within_s):
            raise HarnessError(f"{self._server.name} did not stop by itself after SIGTERM")

    async def start(self, role: str, index: int) -> None:
        """Start the server again on what it stored."""
        self._find(role, index)
        await self._server.start(within_s=self._start_within_s)
        self._expected_down = False

    def _find(self, role: str, index: int) -> None:
        if (role, index) != (CORE, 0):
            raise HarnessError(f"a broker has no {role} number {index}")

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Return none."""
        return []

    def usage(self) -> list[NodeUsage]:
        """Return what the server has used."""
        used = self._server.usage()
        return [
            NodeUsage(
                role=CORE,
                index=0,
                cpu_s=used.cpu_s,
                rss_max_bytes=used.rss_max_bytes,
                restarts=used.restarts,
            )
        ]

    def find_dead(self) -> list[str]:
        """Return the server's name if it ended without our doing."""
        gone = not self._server.running and not self._expected_down and not self._torn_down
        return [self._server.name] if gone else []

    async def teardown(self) -> None:
        """Stop the server. Idempotent."""
        self._torn_down = True
        await self._server.stop()


class EndpointDeployment:
    """A server that somebody else runs: clients and links, and no processes.

    Args:
        connect: Holds "ports", where the proxies listen.
        config: For the result.
        clean_up: Removes what the run has made at the server, through one of these ports.
        lock: Says that the run is alive; let go of when nothing of it is left.
    """

    def __init__(
        self,
        connect: Mapping[str, Any],
        config: Mapping[str, Any],
        clean_up: Callable[[Mapping[str, Any], int], Awaitable[None]],
        lock: RunLock,
    ) -> None:
        self.connect = connect
        self.config = config
        self._lock = lock
        self._clean_up: Callable[[Mapping[str, Any], int], Awaitable[None]] | None = clean_up

    def targets(self) -> Sequence[ProcessTarget]:
        """Return none."""
        return ()

    async def gauges(self) -> list[tuple[str, int, str, int, int]]:
        """Return none."""
        return []

    def usage(self) -> list[NodeUsage]:
        """Return none: what the server uses is not known."""
        return []

    def find_dead(self) -> list[str]:
        """Return none."""
        return []

    async def teardown(self) -> None:
        """Remove what the run has made, once.

        Raises:
            HarnessError: It did not work; says what is left.
        """
        clean_up, self._clean_up = self._clean_up, None
        if clean_up is None:
            return
        try:
            with anyio.fail_after(CLEAN_UP_WITHIN_S):
                await clean_up(self.connect, next(iter(self.connect["ports"].values())))
        except OSError as error:
            self._lock.release(removed=False)
            prefix, why = self.connect["prefix"], str(error) or "no answer"
            raise HarnessError(
                f"what begins with {prefix!r} is left there: {why}; `tallystick clean` with the"
                " same --system and --endpoint removes it"
            ) from error
        self._lock.release(removed=True)
