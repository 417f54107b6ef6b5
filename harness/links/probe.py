"""Connections of the harness's own through a link, to see what a fault does to bytes.

A probe greets the server as a client of its protocol does, or logs in, and then sends pings, each
of which the server answers with as many bytes. What a toxic does to this one connection it does to
every other connection of the link, since Toxiproxy applies toxics per connection.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketStream

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
class Entered:
    """A connection of a probe that the server has taken in.

    Attributes:
        stream: What to go on with: what came in, or encryption over it.
        ping: The server answers it, as often as it comes, with as many bytes.
        unasked: What the server says by itself now and then, which answers nothing.
        whole_ping: Makes one ping of at least so many bytes that the server answers with as many,
            all at once; for a server that answers small pings one by one.
    """

    stream: ByteStream
    ping: bytes
    unasked: bytes = b""
    whole_ping: Callable[[int], bytes] | None = None


LogIn = Callable[[ByteStream], Awaitable[Entered]]
"""Logs in on a fresh connection, encrypted where the server wants it so, and reads all answers.

Raises OSError when the server does not take it in. Secrets stay inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeWords:
    """What the server of a link understands. Empty: it understands no probe.

    Attributes:
        login: How to log in, for a server that answers pings only then; it takes the place of
            `banner`, `greeting` and `ping`.
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
    login: LogIn | None = None


class _Wire(ByteStream):
    """A probe's socket; counts what came through it, whatever lies encrypted on it."""

    def __init__(self, stream: SocketStream, probed: Probed) -> None:
        self.pieces = 0
        self._stream = stream
        self._probed = probed

    async def receive(self, max_bytes: int = READ_BYTES) -> bytes:
        data = await self._stream.receive(max_bytes)
        self._probed.read_bytes += len(data)
        self.pieces += 1
        return data

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What became of pings that were sent at once.

    Attributes:
        sent_bytes: Bytes handed over for sending; the connection may have ended before the last.
        read_bytes: Bytes of the reply.
        pieces: Reads of the socket that the reply came in.
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
        greeted_ms: How long the first byte of the reply to the greeting took; of a probe that has
            logged in, the reply to its first ping.
    """

    def __init__(self, wire: _Wire, entered: Entered, heavy: Callable[[int], bytes] | None) -> None:
        self.greeted_ms = -1.0
        self._wire = wire
        self._stream = entered.stream
        self._ping = entered.ping
        self._unasked = entered.unasked
        self._whole_ping = entered.whole_ping
        self._tail = b""
        """The end of what was read, which may be the begin of something unasked."""
        self._heavy = heavy

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

    async def ping_ms(self, *, within_s: float) -> float | None:
        """Send one ping; return how long its reply took, None when it did not come in time."""
        burst = await self.burst(1, within_s=within_s)
        return burst.took_ms if burst.complete else None

    def size_of_burst(self, size_bytes: int) -> int:
        """Return how many bytes a burst of at least `size_bytes` has, in whole pings."""
        return -(-min(max(1, size_bytes), BURST_BYTES_MAX) // len(self._ping)) * len(self._ping)

    async def burst(self, size_bytes: int, *, within_s: float) -> Burst:
        """Send at least `size_bytes` of pings (at least one), read until all is answered.

        Never raises for a connection that ends or a reply that does not come: the result says so.
        """
        pings = self._ping * (self.size_of_burst(size_bytes) // len(self._ping))
        return await self._exchange(pings, within_s)

    async def burst_in_few_pieces(self, size_bytes: int, *, within_s: float) -> Burst:
        """Do as `burst` does, with the reply in as few pieces as the server can make of it."""
        if self._whole_ping is None:
            return await self.burst(size_bytes, within_s=within_s)
        return await self._exchange(self._whole_ping(min(size_bytes, BURST_BYTES_MAX)), within_s)

    async def _exchange(self, pings: bytes, within_s: float) -> Burst:
        begun, pieces = time.perf_counter(), self._wire.pieces
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
            pieces=self._wire.pieces - pieces,
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
                seen.read_bytes += self._count(await self._stream.receive(READ_BYTES))
        except ENDED:
            seen.ended = True

    def _count(self, data: bytes) -> int:
        """Return how many bytes of what was read answer something."""
        if not self._unasked:
            return len(data)
        told = self._tail + data
        unasked = told.count(self._unasked)
        # What was counted as a reply before may now turn out to be the begin of something unasked.
        self._tail = told.rpartition(self._unasked)[2][-(len(self._unasked) - 1) :]
        return len(data) - unasked * len(self._unasked)

    async def half_close_ms(self, *, within_s: float) -> float | None:
        """Say that no more comes, and return how long it took until the other end closed too.

        None when it did not in time.
        """
        begun = time.perf_counter()
        with anyio.move_on_after(within_s):
            try:
                # On the socket itself: encryption knows no half-closed connection.
                await self._wire.send_eof()
                while True:
                    await self._wire.receive()
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
    ended: bool = False


async def greet(stream: SocketStream, words: ProbeWords, probed: Probed) -> Probe | None:
    """Greet the server and return the probe, or None when the server did not take it in.

    Cancelling closes the stream.
    """
    probe: Probe | None = None
    try:
        wire = _Wire(stream, probed)
        if words.login is not None:
            probe = await _log_in(wire, words.login, words)
        else:
            probe = await _say(wire, words)
    except ENDED:
        return None
    finally:
        if probe is None:
            await anyio.aclose_forcefully(stream)
    return probe


async def _say(wire: _Wire, words: ProbeWords) -> Probe:
    if words.banner:
        await wire.receive()
    probe = Probe(wire, Entered(stream=wire, ping=words.ping), words.heavy)
    begun = time.perf_counter()
    await wire.send(words.greeting)
    await wire.receive()
    probe.greeted_ms = (time.perf_counter() - begun) * 1000
    return probe


async def _log_in(wire: _Wire, login: LogIn, words: ProbeWords) -> Probe | None:
    probe = Probe(wire, await login(wire), words.heavy)
    # Who waits for this has a deadline of his own.
    took_ms = await probe.ping_ms(within_s=math.inf)
    if took_ms is None:
        return None
    probe.greeted_ms = took_ms
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
