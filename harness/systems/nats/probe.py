"""How a probe logs in at a NATS server, as nats-py does, and what it pings with."""

from __future__ import annotations

import json
from typing import Any

from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from harness.links.probe import Entered, LogIn
from harness.systems.broker.settings import Credentials

PING = b"PING\r\n"
PONG = b"PONG\r\n"


def log_in(who: Credentials) -> LogIn:
    """Return how a probe logs in with these credentials."""

    async def login(stream: ByteStream) -> Entered:
        info = json.loads((await _line(stream)).removeprefix(b"INFO "))
        if info.get("tls_required") and who.tls is not None:
            stream = await TLSStream.wrap(
                stream, server_side=False, hostname=who.host, ssl_context=who.tls,
                standard_compatible=False,
            )  # fmt: skip
        await stream.send(b"CONNECT " + json.dumps(_words(who)).encode() + b"\r\n" + PING)
        while (line := await _line(stream)) != PONG:
            if line.startswith(b"-ERR"):
                raise ConnectionError(line.decode(errors="replace").strip())
        # The server pings too, a moment after the login and every few minutes.
        return Entered(stream=stream, ping=PING, unasked=PING)

    return login


def _words(who: Credentials) -> dict[str, Any]:
    words: dict[str, Any] = {"verbose": False, "pedantic": False, "lang": "python", "version": "0"}
    if who.user is not None:
        words |= {"user": who.user, "pass": who.password or ""}
    elif who.token is not None:
        words["auth_token"] = who.token
    return words


async def _line(stream: ByteStream) -> bytes:
    """Read one line, byte by byte at its end: what comes behind it may be encrypted."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += await stream.receive(1)
    return line
