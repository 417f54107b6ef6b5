"""All links of a run behind its one Toxiproxy server."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import anyio

from harness.errors import HarnessError
from harness.links.coverage import LinkCoverage, read_bytes
from harness.links.link import Link, rest_toxics
from harness.links.ports import PortBlock
from harness.links.proxies import DOWNSTREAM, UPSTREAM
from harness.links.server import ToxiproxyServer
from harness.processes.table import ProcessTable

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
            resets: Names or patterns ("edge-core:*") of the links that a fault will reset. Every
                close of such a link is a TCP reset, so no other link should be among them.

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
    ) -> Link:
        """Open a link to a port on loopback; nobody needs to listen there yet.

        Args:
            name: Unique in the run.
            upstream_port: Where the server listens or will listen.
            latency_ms: Delay of each direction at rest; it outlives healing.
            jitter_ms: How much that delay varies.
            probe: Bytes to which the server on a fresh connection answers with at least one byte,
                for measuring round trips. A link without one cannot show the effect of latency.

        Raises:
            HarnessError: The name is used, the block is used up, or Toxiproxy refuses.
        """
        rest = rest_toxics(
            latency_ms=latency_ms,
            jitter_ms=jitter_ms,
            resets=any(fnmatchcase(name, pattern) for pattern in self._resets),
        )
        api = self.server.api
        port = self.ports.take()
        await api.create(name, port, upstream_port)
        for toxic in rest.values():
            await api.add(name, toxic)
        link = Link(
            api=api,
            log=self.server.log,
            name=name,
            listen_port=port,
            upstream_port=upstream_port,
            rest=rest,
            probe=probe,
        )
        self._links[name] = link
        return link

    async def heal(self) -> None:
        """Bring every link back to rest and verify it.

        Raises:
            HarnessError: One is not; the message names it.
        """
        for link in self._links.values():
            await link.heal()

    async def coverage(self) -> dict[str, LinkCoverage]:
        """Return what went through each link; bytes only of connections that have ended."""
        self.server.log.read()
        log = self.server.log
        read = read_bytes(await self.server.api.metrics())
        return {
            name: LinkCoverage(
                connections=log.accepted[name] - link.probes,
                unforwarded=log.unforwarded[name],
                bytes_up=read.get(name, {}).get(UPSTREAM, 0),
                bytes_down=read.get(name, {}).get(DOWNSTREAM, 0),
                probes=link.probes,
            )
            for name, link in self._links.items()
        }

    async def finish(self) -> dict[str, LinkCoverage]:
        """Take every link down, for good, and return the final coverage, all bytes included.

        Raises:
            HarnessError: The counts did not come to rest in time.
        """
        for link in self._links.values():
            await link.cut()
        deadline = time.monotonic() + SETTLE_WITHIN_S
        # A connection is counted a moment after it was closed, by a thread of the server.
        last, now = None, await self.coverage()
        while now != last:
            if time.monotonic() > deadline:
                raise HarnessError("Toxiproxy's byte counts still rise with every link down")
            await anyio.sleep(POLL_S)
            last, now = now, await self.coverage()
        return now

    async def close(self) -> None:
        """End the server and free the ports. Idempotent."""
        await self.server.stop()
        self.ports.close()
