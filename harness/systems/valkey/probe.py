"""How a probe logs in at a Valkey or Redis server, and what it pings with."""

from __future__ import annotations

from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from harness.links.probe import Entered, LogIn
from harness.systems.broker.settings import Credentials

PING = b"PING \r\n"
"""With a space more than it needs it is as long as its answer, "+PONG"."""


def log_in(who: Credentials) -> LogIn:
    """Return how a probe logs in with these credentials."""

    async def login(stream: ByteStream) -> Entered:
        if who.tls is not None:
            stream = await TLSStream.wrap(
                stream, server_side=False, hostname=who.host, ssl_context=who.tls,
                standard_compatible=False,
            )  # fmt: skip
        if password := who.password or who.token:
            names = (who.user,) if who.user is not None else ()
            await stream.send(_command("AUTH", *names, password))
            answer = b""
            while not answer.endswith(b"\r\n"):
                answer += await stream.receive()
            if not answer.startswith(b"+OK"):
                raise ConnectionError(answer.decode(errors="replace").strip())
        return Entered(stream=stream, ping=PING)

    return login


def _command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded
    )
