"""What a server says by itself is no reply to a ping, however it is cut up on its way."""

from __future__ import annotations

import pytest
from anyio.abc import ByteStream, SocketStream

from harness.links.probe import Entered, Probed, ProbeWords, greet

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Script(SocketStream):
    """Answers nothing and says what it was given, piece by piece."""

    def __init__(self, *said: bytes) -> None:
        self.said = list(said)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        return self.said.pop(0)

    async def send(self, item: bytes) -> None:
        """Take it."""

    async def send_eof(self) -> None:
        """Take it."""

    async def aclose(self) -> None:
        """Close it."""

    @property
    def _raw_socket(self) -> None:  # type: ignore[override]
        return None


async def login(stream: ByteStream) -> Entered:
    return Entered(stream=stream, ping=b"PING\r\n", unasked=b"PING\r\n")


@pytest.mark.parametrize("cut_at", range(1, 12))
async def test_what_comes_unasked_is_not_counted(cut_at: int) -> None:
    told = b"PING\r\nPONG\r\n"
    script = Script(b"PONG\r\n", told[:cut_at], told[cut_at:], b"PONG\r\n")
    probed = Probed()
    probe = await greet(script, ProbeWords(login=login), probed)
    assert probe is not None
    burst = await probe.burst(7, within_s=5)
    assert (burst.sent_bytes, burst.read_bytes) == (12, 12)
    assert script.said == [], "a ping of the server's was taken for a reply to one of ours"
    assert probed.read_bytes == 24


async def test_who_is_not_taken_in_has_no_probe() -> None:
    async def refused(_stream: ByteStream) -> Entered:
        raise ConnectionError("Authorization Violation")

    assert await greet(Script(), ProbeWords(login=refused), Probed()) is None
