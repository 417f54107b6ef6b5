"""How a probe logs in at a Kafka broker, and what it pings with: which versions it speaks.

The answer to that question is always as long, and a question may be as long as one likes, since it
names its client. Before a login a broker answers it once; behind it as often as it is asked. One
question at a time, though, so the answers to many come one by one. What it knows of topics that
cannot exist, it answers in one piece, with their names, however long these are.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.conn import SaslPlainAuthenticator, ScramAuthenticator
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from harness.links.probe import Entered, LogIn

_METADATA = 3
_METADATA_VERSION = 4
"""The first in which a question can say that no topic is to be made."""

_SASL_HANDSHAKE = 17
_API_VERSIONS = 18
_SASL_AUTHENTICATE = 36
_HEADER = struct.Struct(">ihhih")
_ANSWER_HEADER_BYTES = 8
"""The size, and the number of the question."""

_SIZE_BYTES = 4
_ERROR_AND_COUNT_BYTES = 6

_NAME_BYTES_MAX = 32_767
"""Longest name of a topic that a question has room for."""

_NAME_ANSWERED_BYTES = 7
"""What an answer says of a name beside it: an error, whether it is internal, no partitions."""

_NO_TOPIC = "/"
"""No topic may have this in its name, so nobody makes one for being asked."""

_TRIED_BYTES = 1_000
"""Size of the question that shows whether a broker answers as it should."""


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
        whole = await _whole_ping(stream) if _speaks(answer, _METADATA, _METADATA_VERSION) else None
        return Entered(stream=stream, ping=ping, whole_ping=whole)

    return login


def _speaks(answer: bytes, key: int, version: int) -> bool:
    """Return whether a broker's answer about its versions names one of a question."""
    ranges = struct.iter_unpack(">hhh", answer[_ANSWER_HEADER_BYTES + _ERROR_AND_COUNT_BYTES :])
    return any(known == key and low <= version <= high for known, low, high in ranges)


async def _whole_ping(stream: ByteStream) -> Callable[[int], bytes] | None:
    """Return what asks for topics that cannot exist; None where names do not come back whole."""
    one = _about_topics(0, 0)
    more_bytes = len(await _ask(stream, one)) - len(one)
    tried = _about_topics(_TRIED_BYTES, max(0, more_bytes))
    if len(await _ask(stream, tried)) != len(tried):
        return None
    return lambda size_bytes: _about_topics(size_bytes, more_bytes)


def _about_topics(size_bytes: int, more_bytes: int) -> bytes:
    """Return a question for names, of at least that size.

    Its answer has `more_bytes` more where one name is asked for; the name of the client makes up
    for that, and for what an answer says of each further name.
    """
    names: list[bytes] = []
    left = max(1, size_bytes - _HEADER.size - more_bytes)
    while left > 0:
        # A name that comes twice is answered once.
        name = f"{_NO_TOPIC}{len(names)}"
        names.append(_text(name.ljust(min(_NAME_BYTES_MAX, left), _NO_TOPIC)))
        left -= len(names[-1])
    client = "p" * (more_bytes + _NAME_ANSWERED_BYTES * (len(names) - 1))
    body = struct.pack(">i", len(names)) + b"".join(names) + struct.pack(">?", False)
    return _question(_METADATA, _METADATA_VERSION, client, body)


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
