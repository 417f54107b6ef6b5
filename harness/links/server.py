"""One Toxiproxy server per run, on loopback, on a port of the run's block."""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from harness.errors import HarnessError
from harness.links.coverage import ServerLog
from harness.links.ports import LOOPBACK, PortBlock
from harness.links.proxies import ToxiproxyApi
from harness.processes.environment import plain_environment
from harness.processes.process import Process
from harness.processes.table import ProcessTable

READY_WITHIN_S = 10.0
"""Deadline for the server's API to answer."""

STOP_WITHIN_S = 2.0
"""Time that the server has to end by itself; it holds nothing worth waiting for."""

ATTEMPTS_MAX = 5
"""Ports that are tried, should something outside the block's rules sit on one."""

POLL_S = 0.01

COLLECTOR = {"GOGC": "800"}
"""Lets the server's heap grow to some 32 MB before it is collected, not 4: every 32 KB that pass it
are a new piece of memory, and collecting them was 0.3 of 1.0 µs CPU per 100-byte message."""


class ToxiproxyServer:
    """A running server: its process, its API and its log."""

    def __init__(self, process: Process, api: ToxiproxyApi, log: ServerLog) -> None:
        self.process = process
        self.api = api
        self.log = log

    @classmethod
    async def start(
        cls, binary: Path, *, ports: PortBlock, run_dir: Path, table: ProcessTable | None = None
    ) -> ToxiproxyServer:
        """Start a server whose log is ``logs/toxiproxy-0.log`` of the run folder.

        It dies with the harness, however that ends.

        Raises:
            HarnessError: It does not start or its API does not answer in time.
        """
        log = run_dir / "logs" / "toxiproxy-0.log"
        trouble = ""
        for _ in range(ATTEMPTS_MAX):
            port = ports.take()
            process = Process(
                name="toxiproxy",
                argv=[str(binary), "-host", LOOPBACK, "-port", str(port), "-proxy-metrics"],
                log=log,
                # The counts of connections are read from its log, so its level is not the user's.
                env={**COLLECTOR, **plain_environment(), "LOG_LEVEL": "info"},
                table=table,
                watches_lifeline=False,
            )
            offset = log.stat().st_size if log.exists() else 0
            await process.start()
            server = cls(process, ToxiproxyApi(port), ServerLog(log, offset=offset))
            try:
                await server._wait_ready()
            except HarnessError as error:
                await process.kill()
                trouble = f"{error}\n{process.tail()}"
                if not server.log.api_failed:
                    break
            except BaseException:
                await process.kill()
                raise
            else:
                return server
        raise HarnessError(f"Toxiproxy does not start: {trouble}")

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        answered = False
        while not answered:
            try:
                await self.api.version()
                answered = True
            except HarnessError:
                if time.monotonic() > deadline:
                    raise
                await anyio.sleep(POLL_S)
            # Somebody else may answer on that port, and Toxiproxy stays alive without it.
            self.log.read()
            if self.log.api_failed:
                raise HarnessError(f"its API cannot listen on port {self.api.port}")
            if not self.process.running:
                raise HarnessError(f"it ended with {self.process.exit_code}")

    async def stop(self) -> None:
        """End the server. Idempotent."""
        await self.process.stop(within_s=STOP_WITHIN_S)
