"""A queue in memory, one log per inbox, served on loopback: a system to write an adapter for.

A frame is a u32 length (big endian) and a msgpack array. A client says, and is answered:

    hello                                                hello
    send   inbox producer n_first count lengths body     stored   inbox producer n_first pos_first
    read   inbox from_pos                                reading  session next_pos
                                                         batch    pos_first producer n_first …
    ack    upto                                          acked    upto
    end                                                  end      pos

A connection reads one inbox or none. Batches are stored and delivered whole, each once however
often it is sent; a batch that leaves a hole behind its sender's last one ends the connection.
Nothing is durable and nothing is trimmed.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgpack

from harness.links.ports import LOOPBACK

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""Longest frame that is read; a longer one ends the connection."""

WINDOW_MESSAGES = 20_000
"""A reader with so many messages that it has not acknowledged gets no further batch."""

LENGTH_BYTES = 4
"""The length before a frame."""


def pack(*message: Any) -> bytes:
    """Return the frame of a message."""
    packed: bytes = msgpack.packb(message)
    return len(packed).to_bytes(LENGTH_BYTES, "big") + packed


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame without its length.

    Raises:
        ConnectionError: The connection ended, or what came is no frame.
    """
    try:
        size_bytes = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if size_bytes > FRAME_BYTES_MAX:
            raise ConnectionError(f"a frame of {size_bytes} bytes")
        return await reader.readexactly(size_bytes)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the other side closed the connection") from error


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch at its place."""

    pos_first: int
    producer: int
    n_first: int
    count: int
    lengths: bytes
    body: bytes

    @property
    def pos_last(self) -> int:
        """Position of its last message."""
        return self.pos_first + self.count - 1


class Queue:
    """The logs and who reads them. Lives on one event loop and never waits, so it needs no lock.

    Args:
        lose_every: Flaw, for tests: of every so many batches one is acknowledged and dropped.
        doubles: Flaw, for tests: a batch that is sent again is stored again.
    """

    def __init__(self, *, lose_every: int = 0, doubles: bool = False) -> None:
        self.logs: defaultdict[str, list[Stored]] = defaultdict(list)
        self.cursors: dict[str, int] = {}
        self.sessions = count(1)
        self.readers: defaultdict[str, set[Reading]] = defaultdict(set)
        self._lose_every = lose_every
        self._doubles = doubles
        self._next_pos: Counter[str] = Counter()
        self._next_n: Counter[tuple[str, int]] = Counter()
        self._places: dict[tuple[str, int, int], int] = {}
        self._appended = 0

    def append(
        self, inbox: str, producer: int, n_first: int, size: int, lengths: bytes, body: bytes
    ) -> int:
        """Store a batch, unless it is stored already, and return its first position.

        Raises:
            ConnectionError: The sender left something out.
        """
        n_next = self._next_n[inbox, producer]
        if n_first < n_next and not self._doubles:
            return self._places[inbox, producer, n_first]
        if n_first > n_next:
            raise ConnectionError(f"{n_next} of sender {producer:016x} is missing")
        pos_first = self._next_pos[inbox]
        self._next_pos[inbox] += size
        self._next_n[inbox, producer] = max(n_next, n_first + size)
        self._places[inbox, producer, n_first] = pos_first
        self._appended += 1
        if not self._lose_every or self._appended % self._lose_every:
            self.logs[inbox].append(Stored(pos_first, producer, n_first, size, lengths, body))
        return pos_first

    def end(self, inbox: str) -> int:
        """Return the last position that holds something; -1 if none does."""
        log = self.logs[inbox]
        return log[-1].pos_last if log else -1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        reading: Reading | None = None
        try:
            while True:
                kind, *message = msgpack.unpackb(await read_frame(reader))
                match kind, reading:
                    case "hello", None:
                        writer.write(pack("hello"))
                    case "send", None:
                        inbox, producer, n_first = message[:3]
                        pos_first = self.append(*message)
                        writer.write(pack("stored", inbox, producer, n_first, pos_first))
                        for other in self.readers[inbox]:
                            other.push()
                    case "read", None:
                        reading = Reading(self, writer, *message)
                        self.readers[reading.inbox].add(reading)
                        reading.push()
                    case "ack", Reading():
                        reading.acknowledge(*message)
                    case "end", Reading():
                        writer.write(pack("end", self.end(reading.inbox)))
                    case _:
                        raise ConnectionError(f"{kind!r} out of turn")
                # Replies are small and few, a reader has its window: so this bounds the buffer.
                await writer.drain()
        except ConnectionError:
            pass  # That is how every connection ends; closing it tells its client.
        finally:
            if reading is not None:
                self.readers[reading.inbox].discard(reading)
            writer.close()


class Reading:
    """One session: pushes the log of an inbox to a connection, within its window."""

    def __init__(
        self, queue: Queue, writer: asyncio.StreamWriter, inbox: str, from_pos: int
    ) -> None:
        self.inbox = inbox
        self._queue = queue
        self._log = queue.logs[inbox]
        self._writer = writer
        behind = queue.cursors.get(inbox, -1) if from_pos == -2 else from_pos
        self._at = bisect_right(self._log, behind, key=lambda stored: stored.pos_first)
        if self._at and self._log[self._at - 1].pos_last > behind:
            raise ConnectionError(f"position {behind} is in the middle of a batch")
        self._sent_pos = self._acked_pos = behind
        writer.write(pack("reading", next(queue.sessions), behind + 1))

    def push(self) -> None:
        """Send what the window allows."""
        while (
            self._at < len(self._log)
            and self._sent_pos - self._acked_pos < WINDOW_MESSAGES
            and not self._writer.is_closing()
        ):
            one = self._log[self._at]
            self._writer.write(
                pack(
                    "batch", one.pos_first, one.producer, one.n_first, one.count, one.lengths,
                    one.body,
                )
            )  # fmt: skip
            self._at += 1
            self._sent_pos = one.pos_last

    def acknowledge(self, upto: int) -> None:
        """Move the cursor and confirm it."""
        self._acked_pos = max(self._acked_pos, upto)
        self._queue.cursors[self.inbox] = max(self._queue.cursors.get(self.inbox, -1), upto)
        self._writer.write(pack("acked", upto))
        self.push()


@asynccontextmanager
async def serving(queue: Queue, port: int) -> AsyncIterator[None]:
    """Serve a queue on a port of loopback; the port is bound when this begins."""
    server = await asyncio.start_server(queue.serve, LOOPBACK, port)
    try:
        yield
    finally:
        # Whoever is still connected is cut off with the loop; `wait_closed` may wait for them.
        server.close()
