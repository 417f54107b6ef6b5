"""Cancellations of aiokafka's own tasks are errors; those of ours stay what they are."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import anyio
import pytest
from aiokafka import errors as kafka_errors

from harness.systems.broker.line import Ears, Unavailable
from harness.systems.kafka import client
from harness.systems.kafka.trouble import as_unavailable

NOWHERE = 1
NOBODY = Ears(
    answered=lambda *_: None, refused=lambda *_: None, unknown=lambda *_: None,
    lost=lambda _cause: None,
)  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_task_of_aiokafka_that_was_cancelled_ends_no_task_group_of_ours() -> None:
    async def wait_for_it() -> None:
        task = asyncio.create_task(asyncio.sleep(3600))
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(Unavailable, match="gave up"), as_unavailable():
            await asyncio.shield(task)
        ended.append("ours")

    ended: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait_for_it)
    assert ended == ["ours"]


@pytest.mark.anyio
async def test_a_consumer_that_cannot_end_in_order_ends_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stop() -> None:
        # As its fetcher does when it cancels a fetch that had not begun.
        raise asyncio.CancelledError

    monkeypatch.setattr(client, "AIOKafkaConsumer", lambda **_settings: SimpleNamespace(stop=stop))
    connect = {"prefix": "", "checks_cursor": True}
    line = client.ConsumerLine(NOWHERE, connect, NOBODY)
    with pytest.raises(Unavailable):
        await line.close()


@pytest.mark.anyio
async def test_who_is_cancelled_himself_is_cancelled() -> None:
    with anyio.move_on_after(0.01) as scope, as_unavailable():
        await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.anyio
@pytest.mark.parametrize("error", [kafka_errors.KafkaTimeoutError(), OSError("cut")])
async def test_errors_are_told_in_words(error: Exception) -> None:
    with pytest.raises(Unavailable, match=r"Kafka|cut"), as_unavailable():
        raise error


@pytest.mark.parametrize(
    "error",
    [kafka_errors.ConsumerStoppedError(), kafka_errors.NodeNotReadyError(), ConnectionResetError()],
)
def test_whatever_aiokafka_raises_is_an_error_of_the_connection(error: Exception) -> None:
    with pytest.raises(Unavailable), as_unavailable():
        raise error
