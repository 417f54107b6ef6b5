"""One connection of valkey-py's, used for many commands at once: answers come in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex

from valkey.asyncio.connection import Connection
from valkey.exceptions import ResponseError, ValkeyError

from harness.links.ports import LOOPBACK
from harness.systems.broker.line import Unavailable
from harness.systems.broker.settings import Credentials
from harness.systems.valkey.trouble import in_words

READ_BYTES_MAX = 1 << 16
"""What is read at once."""


class _CountingReader(asyncio.StreamReader):
    """Counts what comes in."""

    bytes_read = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        found = bytes(data)
        self.bytes_read += len(found)
        super().feed_data(found)


class _CountedConnection(Connection):
    """valkey-py's connection through one of our proxies, on a reader that counts."""

    def __init__(self, port: int, who: Credentials) -> None:
        super().__init__(
            host=LOOPBACK,
            port=port,
            username=who.user,
            password=who.password or who.token,
            db=who.database,
            socket_timeout=None,  # Deadlines are kept by whoever waits.
            lib_name=None,
            lib_version=None,
        )
        self._who = who

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        reader = _CountingReader(limit=READ_BYTES_MAX, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol,
            self.host,
            int(self.port),
            ssl=self._who.tls,
            # The proxy has no certificate; what counts is the server behind it.
            server_hostname=self._who.host if self._who.tls is not None else None,
        )
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    @property
    def counted(self) -> int:
        """Bytes read so far, 0 after the end."""
        return self._reader.bytes_read if isinstance(self._reader, _CountingReader) else 0

    @property
    def takes_writes(self) -> bool:
        """Whether it is open; one that the server has closed breaks whoever writes to it."""
        return self._writer is not None and not self._writer.is_closing()

    def abort(self) -> None:
        """Cut the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        # valkey-py warns of connections that still have these when they are collected.
        self._writer = self._reader = None


class Pipe:
    """A connection that never comes back by itself.

    Args:
        connection: Not connected yet.
        lost: Told once when it ends without our doing.
    """

    def __init__(self, connection: _CountedConnection, lost: Callable[[str], None]) -> None:
        self._connection = connection
        self._lost = lost
        self._owed: deque[asyncio.Future[Any]] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._left = False
        self._bytes_read = 0

    @classmethod
    def through(cls, port: int, who: Credentials, lost: Callable[[str], None]) -> Pipe:
        """Return a pipe through the proxy on a port."""
        return cls(_CountedConnection(port, who), lost)

    @property
    def bytes_read(self) -> int:
        """Every byte read from the socket."""
        self._bytes_read = max(self._bytes_read, self._connection.counted)
        return self._bytes_read

    async def open(self) -> None:
        """Connect and log in.

        Raises:
            Unavailable: The server did not accept us, or still reads its log.
        """
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]
        except (ValkeyError, OSError) as error:
            raise Unavailable(in_words(error)) from error
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def call(self, *words: str | bytes | int) -> Any:
        """Send a command and return its answer.

        Raises:
            ResponseError: The server refused it.
            Unavailable: The connection has ended; it may have been carried out.
        """
        return await (await self.send(*words))

    async def send(self, *words: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command and return its answer to come; waits while the server does not read."""
        if self._left or not self._connection.takes_writes:
            raise Unavailable("the connection has ended")
        answer = asyncio.get_running_loop().create_future()
        self._owed.append(answer)
        try:
            # Written before anything is awaited, so that answers are owed in the order of writing.
            await self._connection.send_packed_command(self._connection.pack_command(*words))
        except (ValkeyError, OSError) as error:
            self._end(in_words(error))
            raise Unavailable(in_words(error)) from error
        return answer

    async def _read(self) -> None:
        try:
            while not self._left:
                try:
                    answer = await self._connection.read_response(disconnect_on_error=False)
                except ResponseError as error:
                    self._settle(error)
                else:
                    self._settle(answer)
        except (ValkeyError, OSError) as error:
            self._end(in_words(error))

    def _settle(self, answer: Any) -> None:
        future = self._owed.popleft()
        if future.done():  # Whoever asked has given up.
            return
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def _end(self, cause: str) -> None:
        if not self._left:
            self.abort(cause)
            self._lost(cause)

    def abort(self, cause: str = "cut") -> None:
        """Cut it; whoever waits for an answer gets `Unavailable`. Idempotent."""
        if self._left:
            return
        self._left = True
        self._bytes_read = self.bytes_read
        self._connection.abort()
        if self._reading is not None:
            self._reading.cancel()
        while self._owed:
            future = self._owed.popleft()
            if not future.done():
                future.set_exception(Unavailable(cause))
                future.exception()  # Nobody may be waiting for it any more.
