"""One nats-py client on one connection, dialled through our proxy and nowhere else.

nats-py opens a further connection by itself only when it reconnects, and then also to addresses
that servers have advertised. Here it may not reconnect, and its transport dials the proxy whatever
address it is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import ParseResult

import anyio
import nats.errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from harness.links.ports import LOOPBACK
from harness.systems.broker.line import Unavailable
from harness.systems.broker.settings import Credentials

REQUEST_WITHIN_S = 4
"""Deadline of one request to the server, in whole seconds as nats-py has it."""

PERMISSIONS_ERR = "permissions violation"
"""What the server calls a refusal for want of rights; it leaves the connection open."""

END_WITHIN_S = 1.5
"""Deadline for nats-py to end its tasks."""

RECONNECT_WAIT_S = 0
"""What nats-py sleeps in `connect` between its two attempts: 2 s unless it is told otherwise, which
would count as the broker's time to answer. The harness has a pause of its own between attempts."""

OWN_PINGS_S = 3_600
"""How often nats-py asks for signs of life; hardly ever, since the harness does so itself."""


class ProxyTransport(TcpTransport):
    """Dials one port on loopback, whatever the address, and counts what it reads."""

    def __init__(self, port: int, *, must_encrypt: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes_read = 0
        self._may_write = not must_encrypt
        self._port = port

    def __bool__(self) -> bool:
        # nats-py replaces a transport that says it is not connected yet.
        return True

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Dial the proxy."""
        await super().connect(
            uri._replace(netloc=f"{LOOPBACK}:{self._port}"), buffer_size, connect_timeout
        )

    async def connect_tls(self, *arguments: Any) -> None:
        """Encrypt the connection."""
        await super().connect_tls(*arguments)
        self._may_write = True

    async def read(self, buffer_size: int) -> bytes:
        """Read and count."""
        found: bytes = await super().read(buffer_size)
        self.bytes_read += len(found)
        return found

    async def readline(self) -> bytes:
        """Read a line and count."""
        found: bytes = await super().readline()  # type: ignore[no-untyped-call]
        self.bytes_read += len(found)
        return found

    def write(self, payload: bytes) -> None:
        """Write; raises ConnectionResetError when the connection has ended."""
        if self._io_writer is None or self._io_writer.is_closing():
            raise ConnectionResetError("the connection has ended")
        if not self._may_write:
            # nats-py logs in all the same.
            raise ConnectionRefusedError("the server does not encrypt, and TLS was asked for")
        super().write(payload)  # type: ignore[no-untyped-call]

    def writelines(self, payload: list[bytes]) -> None:
        """Write, unless the connection was cut: then there is nobody to write to."""
        if self._io_writer is not None and not self._io_writer.is_closing():
            super().writelines(payload)  # type: ignore[no-untyped-call]

    def abort(self) -> None:
        """Cut the connection."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()


class NatsConnection:
    """A nats-py client that never comes back by itself.

    Args:
        port: Where our proxy listens.
        connect: What `Deployment.connect` says.
        lost: Told once when it ends without our doing.
    """

    def __init__(self, port: int, connect: Mapping[str, Any], lost: Callable[[str], None]) -> None:
        self.client = Client()
        self._lost = lost
        self._credentials = (
            Credentials.at(connect["endpoint"])
            if "endpoint" in connect
            else Credentials(token=connect["token"])
        )
        self._transport = ProxyTransport(port, must_encrypt=self._credentials.tls is not None)
        self.client._transport = self._transport
        self._left = False
        self._ending: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Connections that were answered: one, or none yet."""
        return int(self._transport.bytes_read > 0)

    @property
    def bytes_read(self) -> int:
        """Every byte read from the socket."""
        return self._transport.bytes_read

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: The server did not accept us.
        """

        async def closed() -> None:
            if not self._left:
                self._left = True
                self._lost(str(self.client.last_error or "closed by the server"))

        async def told(error: Exception) -> None:
            """Heed a refusal that leaves the connection open; nothing else comes of it.

            What ends the connection comes through `closed` as well.
            """
            if PERMISSIONS_ERR in str(error).lower() and not self._left:
                self.abort()
                self._lost(f"refused: {error}")

        who = self._credentials
        try:
            await self.client.connect(
                "nats://broker:4222",  # The transport knows where to go.
                user=who.user,
                password=who.password,
                token=who.token,
                tls=who.tls,
                tls_hostname=who.host or None,  # A server may ask for TLS by itself.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=RECONNECT_WAIT_S,
                closed_cb=closed,
                error_cb=told,
                ping_interval=OWN_PINGS_S,
            )
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error

    async def ping(self) -> None:
        """Make a round trip.

        Raises:
            Unavailable: There was no answer.
        """
        try:
            await self.client.flush(timeout=REQUEST_WITHIN_S)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error)) from error

    def abort(self) -> None:
        """Cut the connection, and let nats-py end its tasks."""
        self._left = True
        self._transport.abort()
        self._end()

    async def close(self) -> None:
        """Close the connection behind what was sent."""
        self._left = True
        await asyncio.shield(self._end())

    def _end(self) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._close_client())
        return self._ending

    async def _close_client(self) -> None:
        # After a failed handshake nats-py waits for an end that never comes.
        with anyio.move_on_after(END_WITHIN_S):
            await self.client.close()
