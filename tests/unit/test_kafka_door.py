"""Whoever knocks at a shut door waits, is through at once when it opens, and never for ever."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest

from harness.links.ports import LOOPBACK
from harness.systems.kafka.door import Door

NOWHERE = 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def knock(door: Door, ended: list[str]) -> None:
    with pytest.raises(KafkaConnectionError) as raised:
        await door.connect(client_id=door.client_id, request_timeout_ms=1_000)
    ended.append(str(raised.value.args[0]))


@pytest.mark.anyio
async def test_who_waits_in_front_of_a_door_is_through_when_it_opens() -> None:
    arrived = asyncio.Event()

    def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        writer.close()

    server = await asyncio.start_server(take, LOOPBACK, 0)
    door, ended = Door(NOWHERE), list[str]()
    door.shut()
    async with server, anyio.create_task_group() as tasks:
        tasks.start_soon(knock, door, ended)
        await anyio.sleep(0.05)
        assert not ended
        assert not arrived.is_set()
        door.reopen(server.sockets[0].getsockname()[1])
        with anyio.fail_after(1):
            await arrived.wait()
    door.forget()


def test_a_batch_that_is_written_again_counts_as_another_attempt() -> None:
    door = Door(NOWHERE)
    first, second = bytes(3), bytes([1, 2])
    for batch, writes in ((first, 1), (first, 2), (first, 3), (second, 1), (second, 2)):
        door.wrote(ProduceRequest(None, -1, 1, [("ann", [(0, batch)]), ("bob", [(0, b"bob")])]))
        assert door.writes["ann"] == writes
    assert door.writes["bob"] == 5
    # The same bytes, made anew, are other messages.
    door.wrote(ProduceRequest(None, -1, 1, [("ann", [(0, bytes(bytearray(second)))])]))
    assert door.writes["ann"] == 1
    door.wrote(MetadataRequest([]))
    assert door.writes == {"ann": 1, "bob": 5}
    door.forget()


@pytest.mark.anyio
async def test_who_waits_in_front_of_a_door_that_is_forgotten_is_sent_away() -> None:
    door, ended = Door(NOWHERE), list[str]()
    door.shut()
    with anyio.fail_after(1):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(knock, door, ended)
            await anyio.sleep(0.01)
            door.forget()
        await knock(door, ended)
    assert ended == ["the connection was cut"] * 2
