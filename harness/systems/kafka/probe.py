"""What a Kafka broker understands of a probe: the question which versions it speaks.

Anybody may ask, at any time. A ping must be as long as its answer, so the name of the client in it
is as long as it takes.
"""

from __future__ import annotations

import struct

import anyio

from harness.links.ports import LOOPBACK
from harness.links.probe import ProbeWords

_API_VERSIONS = 18
_HEADER = struct.Struct(">ihhih")
_SIZE_BYTES = 4

LEARN_WITHIN_S = 10.0


def _question(client: str) -> bytes:
    size = _HEADER.size - _SIZE_BYTES + len(client)
    return _HEADER.pack(size, _API_VERSIONS, 0, 0, len(client)) + client.encode()


GREETING = _question("probe")


async def learn_ping(port: int) -> ProbeWords:
    """Ask a running broker on loopback once, and return probes with pings as long as its answer.

    Raises:
        OSError: It did not answer in time.
    """
    with anyio.fail_after(LEARN_WITHIN_S):
        async with await anyio.connect_tcp(LOOPBACK, port) as stream:
            await stream.send(GREETING)
            answer = b""
            while len(answer) < _SIZE_BYTES or len(answer) < _SIZE_BYTES + _size(answer):
                answer += await stream.receive()
    return ProbeWords(greeting=GREETING, ping=_question("p" * (len(answer) - _HEADER.size)))


def _size(answer: bytes) -> int:
    return int.from_bytes(answer[:_SIZE_BYTES], "big")
