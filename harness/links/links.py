"""All links of a run behind its one Toxiproxy server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import anyio

from harness.addresses import Address
from harness.errors import HarnessError
from harness.links.coverage import LinkCoverage, read_bytes
from harness.links.linger import ProxySockets
from harness.links.link import Link, rest_toxics
from harness.links.ports import LOOPBACK, PortBlock
from harness.links.probe import LogIn, ProbeWords
from harness.links.proxies import DOWNSTREAM, UPSTREAM
from harness.links.server import ToxiproxyServer
from harness.links.sockets import count_all_open
from harness.processes.table import ProcessTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWanted:
    """A link to open.

    Attributes:
        name: Unique in the run.
        upstream_port: Where the server listens or will listen.
        upstream_host: On which machine, this one unless a user has asked for another.
        latency_ms: Delay of each direction at rest; it outlives healing.
        jitter_ms: How much that delay varies.
        probe: Bytes to which the server on a fresh connection answers with at least one byte,
            for measuring round trips. A link without one cannot show the effect of latency.
        ping: Bytes that it answers afterwards, as often as they come, with as many bytes. Without
            them only latency, cuts and resets can show an effect.
        heavy: Makes a ping of about so many bytes, which is answered when all of it is there, with
            one byte at least: shows what happens to many bytes on their way to the server. Without
            it pings have to do.
        banner: The server speaks first on a fresh connection.
        login: How a probe logs in, in place of `probe`, `ping` and `banner`, for a server that
            answers pings only then, or only encrypted.
    """

    name: str
    upstream_port: int
    upstream_host: str = LOOPBACK
    latency_ms: int = 0
    jitter_ms: int = 0
    probe: bytes = b""
    ping: bytes = b""
    heavy: Callable[[int], bytes] | None = None
    banner: bool = False
    login: LogIn | None = None


SETTLE_WITHIN_S = 2.0
"""Deadline for the byte counts of closed connections to stop rising."""

POLL_S = 0.02


class Links:
    """The run's block of ports, its Toxiproxy server, and every link through it.

    Attributes:
        ports: The run's block; nodes take their ports from it too.
        server: The Toxiproxy server.
        table: Where every process of the run is written down; there is one per run folder.
    """

    def __init__(
        self,
        server: ToxiproxyServer,
        ports: PortBlock,
        *,
        table: ProcessTable | None = None,
        resets: Collection[str] = (),
    ) -> None:
        self.ports = ports
        self.table = table
        self.server = server
        self._resets = tuple(resets)
        sockets = ProxySockets(lambda: server.process.command_pid)
        self._sockets = sockets if self._resets and sockets.reachable else None
        self._links: dict[str, Link] = {}

    @classmethod
    async def start(
        cls,
        binary: Path,
        *,
        run_dir: Path,
        table: ProcessTable | None = None,
        resets: Collection[str] = (),
    ) -> Links:
        """Lock a block of ports and start the Toxiproxy server.

        Args:
            binary: The server's executable.
            run_dir: The folder of the run; its log goes to ``logs/``.
            table: Where its pid is written down.
            resets: Names or patterns ("edge-core:*") of the links that a fault will reset. Where
                the sockets of Toxiproxy cannot be reached every close of such a link is a TCP
                reset (`Link.closes_in_order`), so no other link should be among them.

        Raises:
            HarnessError: There is no free block or the server does not start.
        """
        ports = PortBlock.lock()
        try:
            server = await ToxiproxyServer.start(binary, ports=ports, run_dir=run_dir, table=table)
        except BaseException:
            ports.close()
            raise
        return cls(server, ports, table=table, resets=resets)

    @property
    def by_name(self) -> Mapping[str, Link]:
        """Every link that was opened."""
        return self._links

    async def open(
        self,
        name: str,
        upstream_port: int,
        *,
        latency_ms: int = 0,
        jitter_ms: int = 0,
        probe: bytes = b"",
        ping: bytes = b"",
        heavy: Callable[[int], bytes] | None = None,
    ) -> Link:
        """Open a link to a port on loopback; nobody needs to listen there yet.

        Args:
            name: Unique in the run.
            upstream_port: Where the server listens or will listen.
            latency_ms: Delay of each direction at rest; it outlives healing.
            jitter_ms: How much that delay varies.
            probe: See `LinkWanted`.
            ping: See `LinkWanted`.
            heavy: See `LinkWanted`.

        Raises:
            HarnessError: The name is used, no port is left, or Toxiproxy refuses.
        """
        wanted = LinkWanted(
            name=name,
            upstream_port=upstream_port,
            latency_ms=latency_ms,
            jitter_ms=jitter_ms,
            probe=probe,
            ping=ping,
            heavy=heavy,
        )
        return (await self.open_all([wanted]))[0]

    async def open_all(self, wanted: Sequence[LinkWanted]) -> list[Link]:
        """Open many links at once, in their order; much cheaper than one after the other.

        Raises:
            HarnessError: A name is used, no port is left, or Toxiproxy refuses.
        """
        for name, times in Counter(one.name for one in wanted).items():
            if times > 1 or name in self._links:
                raise HarnessError(f"link {name!r} is opened twice")
        links = [self._make(one) for one in wanted]
        await self.server.api.create_all(
            {
                link.name: (
                    link.listen_port,
                    str(Address(host=one.upstream_host, port=one.upstream_port)),
                )
                for link, one in zip(links, wanted, strict=True)
            }
        )
        async with anyio.create_task_group() as tasks:
            for link in links:
                for toxic in link.rest.values():
                    tasks.start_soon(self.server.api.add, link.name, toxic)
        self._links.update({link.name: link for link in links})
        return links

    def _make(self, wanted: LinkWanted) -> Link:
        resets = any(fnmatchcase(wanted.name, pattern) for pattern in self._resets)
        return Link(
            api=self.server.api,
            log=self.server.log,
            name=wanted.name,
            listen_port=self.ports.take(),
            upstream_port=wanted.upstream_port,
            upstream_host=wanted.upstream_host,
            sockets=self._sockets if resets else None,
            rest=rest_toxics(
                latency_ms=wanted.latency_ms,
                jitter_ms=wanted.jitter_ms,
                resets=resets and self._sockets is None,
            ),
            words=ProbeWords(
                greeting=wanted.probe,
                ping=wanted.ping,
                heavy=wanted.heavy,
                banner=wanted.banner,
                login=wanted.login,
            ),
        )

    def in_use(self, links: Sequence[Link], *, half_closed: bool = False) -> list[Link]:
        """Return those that hold a connection now; all of them where the kernel does not tell.

        With `half_closed` those too that hold one which only the client has closed.
        """
        open_now = count_all_open(half_closed=half_closed)
        if open_now is None:
            return list(links)
        return [link for link in links if open_now[link.listen_port]]

    async def heal(self) -> None:
        """Bring every link back to rest and verify it.

        Raises:
            HarnessError: One is not; the message names it.
        """
        # One question for all: hundreds of links are at rest, and each call costs milliseconds.
        states = await self.server.api.show_all()
        for link in self._links.values():
            state = states.get(link.name)
            if state is None or not link.is_rest(state):
                await link.heal()

    async def coverage(self) -> dict[str, LinkCoverage]:
        """Return what went through each link; bytes only of connections that have ended."""
        self.server.log.read()
        log = self.server.log
        read = read_bytes(await self.server.api.metrics())
        return {
            name: LinkCoverage(
                connections=log.accepted[name] - link.probed.connections,
                unforwarded=log.unforwarded[name],
                bytes_up=read.get(name, {}).get(UPSTREAM, 0) + log.broken_up[name],
                bytes_down=read.get(name, {}).get(DOWNSTREAM, 0)
                + log.broken_down[name]
                - link.probed.read_bytes,
                probes=link.probed.connections,
            )
            for name, link in self._links.items()
        }

    async def finish(self) -> dict[str, LinkCoverage]:
        """Take down every link in use and return the final coverage, all bytes included.

        Nobody may connect any more.

        Raises:
            HarnessError: The counts did not come to rest in time.
        """
        async with anyio.create_task_group() as tasks:
            # At the end of a run nearly all are closed, by both sides: each cut costs milliseconds.
            for link in self.in_use(list(self._links.values()), half_closed=True):
                tasks.start_soon(link.cut)
        # A connection is counted a moment after it was closed, by a thread of the server, and one
        # whose last bytes are held back for a latency only when they have left.
        still_s = POLL_S + self._slowest_s()
        deadline = time.monotonic() + SETTLE_WITHIN_S + still_s
        now, since = await self.coverage(), time.monotonic()
        while time.monotonic() - since < still_s:
            if time.monotonic() > deadline:
                raise HarnessError("Toxiproxy's byte counts still rise with every link down")
            await anyio.sleep(POLL_S)
            last, now = now, await self.coverage()
            if now != last:
                since = time.monotonic()
        return now

    def _slowest_s(self) -> float:
        """Return how long a link holds a byte back at most while it is at rest."""
        held_ms = [
            toxic.attributes.get("latency", 0) + toxic.attributes.get("jitter", 0)
            for link in self._links.values()
            for toxic in link.rest.values()
        ]
        return max(held_ms, default=0) / 1000

    async def close(self) -> None:
        """End the server and free the ports. Idempotent."""
        await self.server.stop()
        self.ports.close()
