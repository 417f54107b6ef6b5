"""Every connection of an aiokafka client goes through one door, and the door leads to our proxy.

Kafka's clients follow the addresses that brokers advertise, and open connections of their own when
they see fit. aiokafka opens all of them, to bootstrap servers, leaders and coordinators, by one
function. Here that function dials the proxy of the client's door, whatever address it is given; it
counts, and while a door is shut it opens nothing: whoever knocks waits until it is open again, and
is through at once then. aiokafka would otherwise knock again and again, with a pause in between.
Clients that are not ours, such as those of a user's own tests in the same process, connect as they
always do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, CloseReason, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.produce import ProduceRequest

from harness.links.ports import LOOPBACK

_OURS = "tallystick-door-"
_SERIAL = itertools.count()
_DOORS: dict[str, Door] = {}
_BROKEN = (CloseReason.CONNECTION_BROKEN, CloseReason.CONNECTION_TIMEOUT)


class Door:
    """Where one client goes in.

    Attributes:
        client_id: The name under which the client must be made.
        port: The proxy's port on loopback; may change while the door is shut.
        connections: How many connections were answered.
        bytes_read: How many bytes they have read.
        writes: How often a topic's latest batch of messages was written to a connection. aiokafka
            has one request to a partition under way, so it is that of the next answer.
        broken: Told when one of them ends without our doing.
    """

    def __init__(self, port: int) -> None:
        self.client_id = f"{_OURS}{next(_SERIAL)}"
        self.port = port
        self.connections = 0
        self.bytes_read = 0
        self.writes: dict[str, int] = {}
        self._written: dict[str, bytes] = {}
        self.broken: Callable[[str], None] = lambda _cause: None
        self._shut = False
        self._forgotten = False
        self._passable = asyncio.Event()
        """Set while whoever waits in front of it has something to learn."""
        self._passable.set()
        self._open: set[_Connection] = set()
        _DOORS[self.client_id] = self

    @property
    def is_shut(self) -> bool:
        """Whether nothing gets through."""
        return self._shut

    def shut(self) -> None:
        """Cut every connection and open no more."""
        self._shut = True
        self._passable.clear()
        for connection in self._open:
            connection.cut()
        self._open.clear()

    def reopen(self, port: int) -> None:
        """Let the client through again, to another proxy perhaps."""
        self.port = port
        self._shut = False
        self._passable.set()

    def forget(self) -> None:
        """Shut it for good; whoever waits in front of it is sent away."""
        self.shut()
        self._forgotten = True
        self._passable.set()
        _DOORS.pop(self.client_id, None)

    def wrote(self, request: Any) -> None:
        """Note a request that was written; a batch is known by its bytes, which are made once."""
        if isinstance(request, ProduceRequest):
            for topic, partitions in request._topics:
                for _, batch in partitions:
                    again = batch is self._written.get(topic)
                    self.writes[topic] = self.writes[topic] + 1 if again else 1
                    self._written[topic] = batch

    async def connect(self, **settings: Any) -> AIOKafkaConnection:
        """Open a connection with aiokafka's settings, as soon as the door is open.

        Raises:
            KafkaConnectionError: It was shut meanwhile, or for good; and what aiokafka raises.
        """
        while self._shut:
            if self._forgotten:
                raise KafkaConnectionError("the connection was cut")
            await self._passable.wait()
        connection = _Connection(self, **settings)
        await connection.connect()
        if self._shut:
            connection.cut()
            raise KafkaConnectionError("the connection was cut")
        self._open = {known for known in self._open if known.connected()} | {connection}
        return connection


class _Connection(AIOKafkaConnection):  # type: ignore[misc]
    """aiokafka's connection to a door's proxy."""

    def __init__(self, door: Door, **settings: Any) -> None:
        super().__init__(LOOPBACK, door.port, **settings)
        self._door = door

    def _create_reader_task(self) -> Any:
        # The stream is there and nothing was read yet: the moment to begin counting.
        door, reader = self._door, self._reader
        feed = reader.feed_data
        answered = False

        def feed_data(data: bytes) -> None:
            nonlocal answered
            # A proxy takes connections for a server that is not there, too.
            door.connections += not answered
            answered = True
            door.bytes_read += len(data)
            feed(data)

        reader.feed_data = feed_data
        return super()._create_reader_task()

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Send a request; raises KafkaConnectionError when the connection has ended."""
        if self._writer is not None and self._writer.transport.is_closing():
            # uvloop answers a write with a RuntimeError then, which ends aiokafka's tasks for good.
            self.close(CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError("the connection has ended")
        sending = super().send(request, expect_response)
        self._door.wrote(request)
        return sending

    def close(self, reason: Any = None, exc: Any = None) -> Any:
        """Close it, and tell when that was not our doing."""
        was_open = self._reader is not None
        closed = super().close(reason, exc)
        if was_open and reason in _BROKEN and not self._door.is_shut:
            self._door.broken(str(exc or reason.name.lower()))
        return closed

    def cut(self) -> None:
        """Cut it abruptly."""
        if self._writer is not None:
            self._writer.transport.abort()
        self.close()


async def _create_conn(host: str, port: int, *, client_id: str, **settings: Any) -> Any:
    """Stand in for `aiokafka.conn.create_conn`."""
    if not client_id.startswith(_OURS):
        return await create_conn(host, port, client_id=client_id, **settings)
    door = _DOORS.get(client_id)
    if door is None:
        # A client that is ending tries once more.
        raise KafkaConnectionError("the connection was cut")
    return await door.connect(client_id=client_id, **settings)


aiokafka.client.create_conn = _create_conn
