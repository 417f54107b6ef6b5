"""A server that sends back what it gets and remembers how each connection ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from harness.links.ports import LOOPBACK

CHUNK_BYTES = 65_536


@dataclass(slots=True, kw_only=True)
class Echo:
    """A running echo server.

    Attributes:
        port: Where it listens.
        accepted: Connections that it took.
        bytes_in: Bytes that it read.
        endings: For each ended connection "reset" or "end of file", in the order of their ends.
    """

    port: int
    accepted: int = 0
    bytes_in: int = 0
    endings: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Echo one connection until it ends."""
        self.accepted += 1
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                self.bytes_in += len(chunk)
                writer.write(chunk)
                await writer.drain()
            self.endings.append("end of file")
        except ConnectionResetError:
            self.endings.append("reset")
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def echo_server(port: int) -> AsyncIterator[Echo]:
    """Run an echo server on a port of loopback."""
    echo = Echo(port=port)
    server = await asyncio.start_server(echo.serve, LOOPBACK, port)
    async with server:
        yield echo
