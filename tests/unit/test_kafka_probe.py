"""A probe asks Kafka for one big answer, where the broker gives one as long as the question."""

from __future__ import annotations

import struct

import pytest
from anyio.abc import ByteStream

from harness.systems.kafka.probe import log_in

pytestmark = pytest.mark.anyio

METADATA, API_VERSIONS = 3, 18
HEADER = struct.Struct(">ihhih")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Broker(ByteStream):
    """Answers questions as Kafka does; counts them.

    Args:
        newest: The newest version of questions about topics that it speaks.
        tells: Whether it tells the names that it was asked for.
    """

    def __init__(self, *, newest: int = 12, tells: bool = True) -> None:
        self.newest, self.tells = newest, tells
        self.asked: list[int] = []
        self._said = b""

    async def send(self, item: bytes) -> None:
        _, key, _, number, client_bytes = HEADER.unpack_from(item)
        self.asked.append(key)
        rest = item[HEADER.size + client_bytes :]
        if key == API_VERSIONS:
            ranges = ((METADATA, 0, self.newest), (API_VERSIONS, 0, 4))
            body = struct.pack(">hi", 0, len(ranges))
            body += b"".join(struct.pack(">hhh", *one) for one in ranges)
        else:
            body = bytes(60) + self._topics(rest)
        self._said += struct.pack(">ii", 4 + len(body), number) + body

    def _topics(self, rest: bytes) -> bytes:
        (count,) = struct.unpack_from(">i", rest)
        names, at = set[bytes](), 4
        for _ in range(count):
            (size,) = struct.unpack_from(">h", rest, at)
            names.add(rest[at + 2 : at + 2 + size])
            at += 2 + size
        assert rest[at:] == b"\0", "a topic may be made"
        assert all(b"/" in name for name in names), "such a topic may exist"
        told = (name if self.tells else b"" for name in names)
        return b"".join(struct.pack(">hh", 17, len(one)) + one + bytes(5) for one in told)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        said, self._said = self._said[:max_bytes], self._said[max_bytes:]
        return said

    async def send_eof(self) -> None:
        """Take it."""

    async def aclose(self) -> None:
        """Take it."""


@pytest.mark.parametrize("size_bytes", [1, 100, 1_024, 32_767, 32_900, 131_072, 1 << 20])
async def test_an_answer_is_as_long_as_its_question(size_bytes: int) -> None:
    broker = Broker()
    entered = await log_in({})(broker)
    assert entered.whole_ping is not None
    ping = entered.whole_ping(size_bytes)
    assert len(ping) >= size_bytes
    assert struct.unpack_from(">i", ping)[0] == len(ping) - 4
    await broker.send(ping)
    assert len(await broker.receive(1 << 22)) == len(ping)


async def test_a_broker_that_does_not_tell_the_names_is_asked_piece_by_piece() -> None:
    assert (await log_in({})(Broker(tells=False))).whole_ping is None


async def test_a_broker_that_would_make_topics_is_not_asked_for_any() -> None:
    broker = Broker(newest=3)
    assert (await log_in({})(broker)).whole_ping is None
    assert METADATA not in broker.asked
