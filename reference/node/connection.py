"""One TCP connection: bytes to events, transmits to bytes. Reading never waits for writing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import anyio
import msgspec
from anyio.abc import ByteStream

from reference.events import Arriving, Closed, Event, Malformed, Opened, Received, Written
from reference.node.tls import SecureStream
from reference.wire import messages as m
from reference.wire.errors import ErrorCode, ProtocolError, RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import GREETING_BYTES_MAX

log = logging.getLogger("tallystick.node")

RECEIVE_BYTES: Final = 256 * 1024
"""How much is taken from a socket at once."""

LINGER_S: Final = 0.5
"""How long a connection that we close may take to read our last words and close its end.

Closing a socket that holds unread bytes sends a reset, which can destroy what was just written to
it; so the rest is read and thrown away until the peer closes or this time is over.
"""


PARTS_EVERY_S = 0.2
"""A machine is told at most so often that parts of a message come in."""


class Connection:
    """Carries one connection. `run` feeds `Opened` first and `Closed` last.

    `link` is the number of the machine's own link that it carries, -1 for one that was accepted.
    """

    def __init__(
        self,
        stream: ByteStream,
        conn: int,
        feed: Callable[[Event], None],
        link: int = -1,
        address: str = "",
    ) -> None:
        self._stream = stream
        self._secure = stream if isinstance(stream, SecureStream) else None
        self._address = address
        self._conn = conn
        self._feed = feed
        self.link = link
        # Who calls us has shown no token yet; whom we called is known.
        self._parser = FrameParser(GREETING_BYTES_MAX) if link < 0 else FrameParser()
        self._outgoing: tuple[m.Message, ...] = ()
        self._farewell: m.Message | None = None
        self._closing = False
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope()
        self._part_told_s = 0.0
        self._bytes_in = 0
        self._bytes_out = 0

    @property
    def bytes_in(self) -> int:
        """Bytes that came over the wire."""
        return self._bytes_in if self._secure is None else self._secure.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes that went over the wire."""
        return self._bytes_out if self._secure is None else self._secure.bytes_out

    @property
    def held_bytes(self) -> int:
        """Bytes of a frame that has not come to its end."""
        return self._parser.held_bytes

    def transmit(self, messages: tuple[m.Message, ...]) -> None:
        """Write the messages as one piece; `Written` is fed when the system has taken them."""
        for message in messages:
            if type(message) is m.Error and (
                message.request < 0 or message.code is ErrorCode.FORBIDDEN
            ):
                did = "ended" if message.request < 0 else "refused"
                told = message.code.name, message.detail
                log.warning("connection %d: %s by us, %s: %r", self._conn, did, *told)
        self._outgoing = messages
        self._wake.set()

    def close(self, farewell: m.Message | None = None) -> None:
        """Close after what was transmitted, within LINGER_S. `farewell` is written last."""
        if self._closing:
            return
        self._closing = True
        self._farewell = farewell
        self._scope.deadline = anyio.current_time() + LINGER_S
        self._wake.set()

    def abort(self) -> None:
        """Close at once, also in the middle of a piece."""
        self._closing = True
        self._scope.cancel()

    async def run(self) -> None:
        """Carry the connection until it ends."""
        try:
            with self._scope:
                self._feed(Opened(conn=self._conn, link=self.link, address=self._address))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write)
                    await self._read()
                    # The peer says no more, but may still listen to our last words.
                    self.close()
        finally:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
        self._feed(Closed(conn=self._conn))

    async def _read(self) -> None:
        deaf = False
        while True:
            try:
                data = await self._stream.receive(RECEIVE_BYTES)
            except anyio.EndOfStream:
                return
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._scope.cancel()
                return
            self._bytes_in += len(data)
            if deaf or self._closing:
                continue
            whole = False
            try:
                for message in self._parser.feed(data):
                    whole = True
                    if type(message) is m.Error and message.request < 0:
                        told = message.code.name, message.detail
                        log.warning("connection %d: ended by the peer, %s: %r", self._conn, *told)
                    self._feed(Received(conn=self._conn, message=message))
                    if self._closing:
                        break
            except RemoteProtocolError as error:
                deaf = True
                self._feed(Malformed(conn=self._conn, code=error.code, detail=error.detail))
            if not whole and not deaf:
                self._tell_of_a_part()

    def _tell_of_a_part(self) -> None:
        now_s = anyio.current_time()
        if now_s - self._part_told_s >= PARTS_EVERY_S and not self._closing:
            self._part_told_s = now_s
            self._feed(Arriving(conn=self._conn))

    async def _write(self) -> None:
        try:
            while True:
                if self._outgoing:
                    messages, self._outgoing = self._outgoing, ()
                    if await self._send(messages):
                        self._feed(Written(conn=self._conn))
                elif self._closing:
                    if self._farewell is not None:
                        await self._send((self._farewell,))
                    await self._end_output()
                    return
                else:
                    self._wake = anyio.Event()
                    await self._wake.wait()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._scope.cancel()

    async def _end_output(self) -> None:
        try:
            await self._stream.send_eof()
        except RuntimeError as error:
            # uvloop says so of a transport that the peer's reset has closed a moment before.
            raise anyio.BrokenResourceError from error

    async def _send(self, messages: tuple[m.Message, ...]) -> bool:
        """Write the messages; False if one of them is none of this protocol.

        Such a one ends the connection that it was for, never the node: what of it can be said is
        the peer's own doing, and others are served.
        """
        pieces: list[bytes] = []
        fault: Exception | None = None
        for message in messages:
            try:
                pieces.extend(encode(message))
            except (ProtocolError, msgspec.MsgspecError, ValueError, OverflowError) as error:
                fault = error
                code = error.code if isinstance(error, ProtocolError) else ErrorCode.BAD_HEADER
                kind = type(message).__name__
                log.error("connection %d: ended by us, %s: %s", self._conn, kind, error)
                pieces.extend(encode(m.Error(-1, code, f"{kind} could not be sent")))
                break
        data = b"".join(pieces)
        self._bytes_out += len(data)
        if fault is not None:
            self._outgoing = ()
            self.close()
        await self._stream.send(data)
        return fault is None
