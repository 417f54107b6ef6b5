"""When a broker's sender gives a connection up: when it is dead, and not when it is busy."""

from __future__ import annotations

import struct
from collections.abc import Callable

import anyio
import pytest

from harness.systems.broker import sender as sender_module
from harness.systems.broker.connector import BrokerConnector
from harness.systems.broker.line import Dial, Ears, Memory
from harness.systems.port import Batch, Outcome

BATCH = Batch(
    inbox="ann", producer=7, n_first=0, count=2, lengths=struct.pack("<2I", 1, 1), body=b"ab"
)
LINK = "client-edge:near:all"
WITHIN_S = 10.0


class SilentLine:
    """Takes messages and answers none; answers pings if it is alive."""

    in_flight_max = 10
    connections = 1
    bytes_read = 0

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive
        self.pings = 0

    async def publish(self, batch: Batch, index_first: int) -> None:
        pass

    async def ping(self) -> None:
        self.pings += 1
        if not self.alive:
            await anyio.sleep_forever()

    def abort(self) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(sender_module, "PING_AFTER_S", 0.05)
    monkeypatch.setattr(sender_module, "ANSWER_WITHIN_S", 0.1)
    monkeypatch.setattr(sender_module, "STORED_WITHIN_S", 0.6)


async def given_up(line: SilentLine, meanwhile: Callable[[Ears], None] | None = None) -> str:
    """Return why a sender gives up a line that owes it answers."""
    ears: list[Ears] = []
    causes: list[str] = []
    lost = anyio.Event()

    async def dial(_port: int, its: Ears, _memory: Memory) -> SilentLine:
        ears.append(its)
        return line

    def on_lost(cause: str) -> None:
        causes.append(cause)
        lost.set()

    outcomes: list[Outcome] = []
    async with BrokerConnector(Dial(sender=dial, reader=dial), {LINK: 1}) as connector:  # type: ignore[arg-type]
        sender = connector.sender(producer=7, group="all", outcomes=outcomes.append, lost=on_lost)
        await sender.connect("near")
        sender.submit(BATCH)
        if meanwhile is not None:
            meanwhile(ears[0])
        with anyio.move_on_after(1.0 if meanwhile else WITHIN_S):
            await lost.wait()
    return causes[0] if causes else ""


@pytest.mark.anyio
async def test_a_connection_that_answers_no_ping_is_given_up() -> None:
    line = SilentLine(alive=False)
    assert await given_up(line) == "no answer for 0.1 s, not even to a ping"
    assert line.pings == 1


@pytest.mark.anyio
async def test_a_broker_that_answers_pings_is_busy_and_gets_more_time() -> None:
    line = SilentLine(alive=True)
    assert "pings are answered" in await given_up(line)
    assert line.pings >= 3


@pytest.mark.anyio
async def test_who_is_owed_nothing_is_not_pinged() -> None:
    line = SilentLine(alive=False)
    assert await given_up(line, lambda ears: ears.answered("ann", 0, 2, 0)) == ""
    assert line.pings == 0
