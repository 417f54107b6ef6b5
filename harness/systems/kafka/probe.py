"""How a probe logs in at a Kafka broker, and what it pings with: which versions it speaks.

The answer to that question is always as long, and a question may be as long as one likes, since it
names its client. Before a login a broker answers it once; behind it as often as it is asked.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.conn import SaslPlainAuthenticator, ScramAuthenticator
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from harness.links.probe import Entered, LogIn

_SASL_HANDSHAKE = 17
_API_VERSIONS = 18
_SASL_AUTHENTICATE = 36
_HEADER = struct.Struct(">ihhih")
_ANSWER_HEADER_BYTES = 8
"""The size, and the number of the question."""

_SIZE_BYTES = 4


def log_in(settings: Mapping[str, Any]) -> LogIn:
    """Return how a probe logs in with aiokafka's settings (`names.security`)."""

    async def login(stream: ByteStream) -> Entered:
        protocol = settings.get("security_protocol", "PLAINTEXT")
        if protocol.endswith("SSL"):
            stream = await TLSStream.wrap(
                stream, server_side=False, ssl_context=settings["ssl_context"],
                standard_compatible=False,
            )  # fmt: skip
        if protocol.startswith("SASL"):
            await _authenticate(stream, settings)
        answer = await _ask(stream, _question(_API_VERSIONS, 0, "probe"))
        ping = _question(_API_VERSIONS, 0, "p" * (len(answer) - _HEADER.size))
        return Entered(stream=stream, ping=ping)

    return login


async def _authenticate(stream: ByteStream, settings: Mapping[str, Any]) -> None:
    mechanism = settings["sasl_mechanism"]
    named = _text(mechanism)
    answer = await _ask(stream, _question(_SASL_HANDSHAKE, 1, "probe", named))
    _see_that_it_worked(answer, "")
    steps = _steps(mechanism, settings)
    said: bytes | None = None
    while (step := await steps.step(said)) is not None:
        token = bytes(step[0])
        body = struct.pack(">i", len(token)) + token
        answer = await _ask(stream, _question(_SASL_AUTHENTICATE, 0, "probe", body))
        rest = answer[_ANSWER_HEADER_BYTES + 2 :]
        text_bytes = max(0, struct.unpack_from(">h", rest)[0])
        _see_that_it_worked(answer, rest[2 : 2 + text_bytes].decode(errors="replace"))
        said = rest[2 + text_bytes + 4 :]


def _steps(mechanism: str, settings: Mapping[str, Any]) -> Any:
    who = {
        "loop": asyncio.get_running_loop(),
        "sasl_plain_username": settings["sasl_plain_username"],
        "sasl_plain_password": settings["sasl_plain_password"],
    }
    if mechanism == "PLAIN":
        return SaslPlainAuthenticator(**who)
    return ScramAuthenticator(**who, sasl_mechanism=mechanism)


def _see_that_it_worked(answer: bytes, text: str) -> None:
    (code,) = struct.unpack_from(">h", answer, _ANSWER_HEADER_BYTES)
    if code:
        raise ConnectionError(text or kafka_errors.for_code(code).__name__)


def _question(key: int, version: int, client: str, body: bytes = b"") -> bytes:
    size = _HEADER.size - _SIZE_BYTES + len(client) + len(body)
    return _HEADER.pack(size, key, version, 0, len(client)) + client.encode() + body


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


async def _ask(stream: ByteStream, question: bytes) -> bytes:
    """Send a question and read its answer, its size included."""
    await stream.send(question)
    answer = b""
    while len(answer) < _SIZE_BYTES or len(answer) < _SIZE_BYTES + _size(answer):
        answer += await stream.receive()
    return answer


def _size(answer: bytes) -> int:
    return int.from_bytes(answer[:_SIZE_BYTES], "big")
