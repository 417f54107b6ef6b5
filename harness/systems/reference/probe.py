"""What a probe says on a link of the reference: a greeting, then heartbeats."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import msgspec
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from harness.links.probe import Entered, LogIn
from reference.identity import Claims, sign
from reference.node.tls import Trust
from reference.wire import versions
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import HEADER_BYTES_MAX
from reference.wire.messages import Heartbeat, Welcome
from reference.wire.opcodes import Opcode

PING = b"".join(encode(Heartbeat(0)))
"""What every node answers, as often as it comes, with as many bytes."""


def heavy_ping(size_bytes: int) -> bytes:
    """Return a HEARTBEAT of about that size; a node ignores the item behind its nonce."""
    header = msgspec.msgpack.encode([0, bytes(min(size_bytes, HEADER_BYTES_MAX - 64))])
    length = 1 + 4 + len(header)
    return struct.pack("<IBI", length, Opcode.HEARTBEAT, len(header)) + header


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """What a probe says on one hop, and whom it trusts there (None: nothing is encrypted)."""

    role: str
    key: str
    trusted: Trust | None = None

    def words(self, name: str) -> dict[str, Any]:
        """Return the words for a `LinkWanted`, under the name of a user of its own."""
        token = sign(self.key, Claims(role=self.role, name=name))
        hello = b"".join(encode(versions.hello(self.role, name, token)))
        if self.trusted is None:
            return {"probe": hello, "ping": PING, "heavy": heavy_ping}
        return {"login": _log_in(self.trusted, hello), "heavy": heavy_ping}


def _log_in(trusted: Trust, hello: bytes) -> LogIn:
    async def login(stream: ByteStream) -> Entered:
        secure = await TLSStream.wrap(
            stream,
            server_side=False,
            hostname=trusted.name,
            ssl_context=trusted.context,
            standard_compatible=False,
        )
        await secure.send(hello)
        parser = FrameParser()
        while True:
            for message in parser.feed(await secure.receive()):
                if not isinstance(message, Welcome):
                    raise ConnectionError(f"{type(message).__name__} in place of WELCOME")
                return Entered(stream=secure, ping=PING)

    return login
