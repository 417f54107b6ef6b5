"""Core NATS, without JetStream: at most once. What it loses is lost; that is what it is here for.

A message counts as sent when the server has answered a ping that came behind it. Whoever does not
listen at that moment never gets it. There are no positions and nothing is kept: a receiver numbers
what it gets, and "the end" is what it has got by the time of a ping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import anyio
import nats.errors
from nats.aio.msg import Msg

from harness.systems.broker.codec import pack
from harness.systems.broker.line import Ears, Unavailable
from harness.systems.nats.client import FETCH_WITHIN_S, plain
from harness.systems.nats.connection import REQUEST_WITHIN_S, NatsConnection
from harness.systems.port import Batch


class CoreLine:
    """One nats-py client without JetStream."""

    in_flight_max = 1_024

    def __init__(self, port: int, ears: Ears, connect: Mapping[str, Any]) -> None:
        self._ears = ears
        self._prefix: str = connect["prefix"]
        self._connection = NatsConnection(port, connect, ears.lost)
        self._client = self._connection.client
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._next_pos = 0

    @property
    def connections(self) -> int:
        """Connections that were answered: one, or none yet."""
        return self._connection.connections

    @property
    def bytes_read(self) -> int:
        """Every byte read from the socket."""
        return self._connection.bytes_read

    async def open(self) -> None:
        """Connect."""
        await self._connection.open()

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Publish every message, and ask for a ping behind the last one."""
        subject = self._prefix + plain(batch.inbox)
        try:
            for _, message in pack(batch, index_first):
                await self._client.publish(subject, message)
            await self._client.flush(timeout=REQUEST_WITHIN_S)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error)) from error
        self._ears.answered(batch.inbox, batch.n_first + index_first, batch.count - index_first, -1)

    async def open_inbox(self, inbox: str) -> int:
        """Listen from now on; there is no cursor."""

        async def hear(msg: Msg) -> None:
            self._heard.put_nowait(msg.data)

        try:
            await self._client.subscribe(self._prefix + plain(inbox), cb=hear)
            await self._client.flush(timeout=REQUEST_WITHIN_S)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(str(error)) from error
        return -1

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Return what was heard, under the next positions."""
        self._next_pos = next_pos
        found: list[tuple[int, bytes]] = []
        with anyio.move_on_after(FETCH_WITHIN_S):
            found.append((next_pos, await self._heard.get()))
        while not self._heard.empty():
            found.append((next_pos + len(found), self._heard.get_nowait()))
        self._next_pos = next_pos + len(found)
        return found

    async def end(self) -> int:
        """Return the position of what was heard last by the time of a ping."""
        await self.ping()
        return self._next_pos + self._heard.qsize() - 1

    async def commit(self, pos: int) -> None:
        """Do nothing: there is no cursor, and none is promised."""

    async def ping(self) -> None:
        """Make a round trip."""
        await self._connection.ping()

    def abort(self) -> None:
        """Cut the connection."""
        self._connection.abort()

    async def close(self) -> None:
        """Close the connection behind what was sent."""
        await self._connection.close()
