"""Connections of the harness's own through a link, to see what a fault does to bytes.

A probe greets the server as a client of its protocol does, and then sends pings, each of which the
server answers with as many bytes. What a toxic does to this one connection it does to every other
connection of the link, since Toxiproxy applies toxics per connection.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import SocketStream

READ_BYTES = 65_536
"""Most bytes of one read; what arrives together is one piece."""

BURST_BYTES_MAX = 1 << 20
"""Most bytes of one burst of pings, so that a measurement never becomes a load."""

PINGS_BEHIND = 20
"""Small pings behind a big one: their replies are more than a node says by itself meanwhile, and
than what is left unread of a few measurements before."""

ENDED = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
"""What reading from or writing to a connection that is over raises."""


@dataclass(slots=True)
class Probed:
    """What the probes of one link did, so that nobody takes it for the work of a client.

    Attributes:
        connections: That were made.
        read_bytes: That came to them.
    """

    connections: int = 0
    read_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWords:
    """What the server of a link understands. Empty: it understands no probe.

    Attributes:
        banner: The server speaks first on a fresh connection; that is no answer to anything.
        greeting: The server on a fresh connection answers it with at least one byte.
        ping: The server answers it afterwards, as often as it comes, with as many bytes.
        heavy: Makes a single ping of about so many bytes, which the server answers when it has all
            of it, with one byte at least, and before it answers what comes behind it.
    """

    greeting: bytes = b""
    ping: bytes = b""
    heavy: Callable[[int], bytes] | None = None
    banner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What became of pings that were sent at once.

    Attributes:
        sent_bytes: Bytes handed over for sending; the connection may have ended before the last.
        read_bytes: Bytes of the reply.
        pieces: Reads that the reply came in.
        took_ms: From the first byte sent to the last byte read, or to the end of waiting.
        ended: Whether the connection ended meanwhile.
    """

    sent_bytes: int
    read_bytes: int
    pieces: int
    took_ms: float
    ended: bool

    @property
    def complete(self) -> bool:
        """Whether all of the reply came."""
        return self.read_bytes >= self.sent_bytes

    @property
    def bytes_per_s(self) -> float:
        """How fast bytes went there and back."""
        return self.read_bytes / max(self.took_ms, 1e-3) * 1000


class Probe:
    """One open connection through a link. Made by `greet`.

    Attributes:
        greeted_ms: How long the first byte of the reply to the greeting took.
    """

    def __init__(
        self, stream: SocketStream, words: ProbeWords, probed: Probed, greeted_ms: float
    ) -> None:
        self.greeted_ms = greeted_ms
        self._stream = stream
        self._probed = probed
        self._ping = words.ping
        self._heavy = words.heavy

    @property
    def can_ping(self) -> bool:
        """Whether the server answers pings."""
        return bool(self._ping)

    @property
    def can_ping_heavily(self) -> bool:
        """Whether the server answers a ping of any size."""
        return self._heavy is not None

    async def heavy_ms(self, size_bytes: int, *, within_s: float) -> float | None:
        """Send one ping of about that size; return how long its reply took.

        The server answers when it has all of it, so this is the way of that many bytes to the
        server, at next to no cost for it. Small pings behind it, where there are any, tell its
        reply from what a node says by itself. None when no reply came in time.
        """
        if self._heavy is None:
            return None
        behind = self._ping * PINGS_BEHIND
        begun, seen = time.perf_counter(), _Seen()
        wanted_bytes = max(1, len(behind))
        with anyio.move_on_after(within_s):
            await self._send(self._heavy(size_bytes) + behind, seen)
            await self._read(wanted_bytes, seen)
        took_ms = (time.perf_counter() - begun) * 1000
        return took_ms if seen.read_bytes >= wanted_bytes else None

    def size_of_burst(self, size_bytes: int) -> int:
        """Return how many bytes a burst of at least `size_bytes` has, in whole pings."""
        return -(-min(max(1, size_bytes), BURST_BYTES_MAX) // len(self._ping)) * len(self._ping)

    async def burst(self, size_bytes: int, *, within_s: float) -> Burst:
        """Send at least `size_bytes` of pings (at least one), read until all is answered.

        Never raises for a connection that ends or a reply that does not come: the result says so.
        """
        pings = self._ping * (self.size_of_burst(size_bytes) // len(self._ping))
        begun = time.perf_counter()
        seen = _Seen()
        with anyio.move_on_after(within_s):
            # Replies are read while pings are sent: a slow link holds less than a whole burst.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send, pings, seen)
                await self._read(len(pings), seen)
                tasks.cancel_scope.cancel()
        took_ms = (time.perf_counter() - begun) * 1000
        return Burst(
            sent_bytes=len(pings),
            read_bytes=seen.read_bytes,
            pieces=seen.pieces,
            took_ms=took_ms,
            ended=seen.ended,
        )

    async def _send(self, pings: bytes, seen: _Seen) -> None:
        try:
            await self._stream.send(pings)
        except ENDED:
            seen.ended = True

    async def _read(self, wanted_bytes: float, seen: _Seen) -> None:
        try:
            while seen.read_bytes < wanted_bytes:
                seen.read_bytes += await _receive(self._stream, self._probed)
                seen.pieces += 1
        except ENDED:
            seen.ended = True

    async def half_close_ms(self, *, within_s: float) -> float | None:
        """Say that no more comes, and return how long it took until the other end closed too.

        None when it did not in time.
        """
        begun = time.perf_counter()
        with anyio.move_on_after(within_s):
            try:
                await self._stream.send_eof()
                while True:
                    await _receive(self._stream, self._probed)
            except ENDED:
                return (time.perf_counter() - begun) * 1000
        return None

    async def collect(self, wanted_bytes: float, *, within_s: float) -> tuple[int, bool]:
        """Read on without sending until so many bytes came or the connection ended; say what did.

        Whether it would have ended behind those bytes is not seen: `math.inf` waits for that.
        """
        seen = _Seen()
        with anyio.move_on_after(within_s):
            await self._read(wanted_bytes, seen)
        return seen.read_bytes, seen.ended

    async def close(self) -> None:
        """Close it. Idempotent."""
        await self._stream.aclose()


@dataclass(slots=True)
class _Seen:
    read_bytes: int = 0
    pieces: int = 0
    ended: bool = False


async def _receive(stream: SocketStream, probed: Probed) -> int:
    """Read once and return how many bytes came."""
    read_bytes = len(await stream.receive(READ_BYTES))
    probed.read_bytes += read_bytes
    return read_bytes


async def greet(stream: SocketStream, words: ProbeWords, probed: Probed) -> Probe | None:
    """Greet the server and return the probe, or None when the connection ended before a reply.

    Cancelling closes the stream.
    """
    probe: Probe | None = None
    try:
        if words.banner:
            await _receive(stream, probed)
        begun = time.perf_counter()
        await stream.send(words.greeting)
        await _receive(stream, probed)
        probe = Probe(stream, words, probed, (time.perf_counter() - begun) * 1000)
    except ENDED:
        return None
    finally:
        if probe is None:
            await anyio.aclose_forcefully(stream)
    return probe


@asynccontextmanager
async def closing(probe: Probe | None) -> AsyncIterator[Probe | None]:
    """Close the probe at the end, if there is one."""
    try:
        yield probe
    finally:
        if probe is not None:
            with anyio.CancelScope(shield=True):
                await probe.close()
