"""What Kafka's producer was handed once it is never handed again, whatever a sender still knows."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from harness.systems.broker.codec import pack
from harness.systems.broker.line import Ears
from harness.systems.kafka import producer as producer_module
from harness.systems.kafka.producer import Producer
from harness.systems.port import Batch

BATCH = Batch(
    inbox="ann", producer=7, n_first=4, count=3, lengths=struct.pack("<3I", 1, 1, 1), body=b"abc"
)
SENT = [message for _, message in pack(BATCH)]
NOWHERE = 1


class FakeKafka:
    """Stands in for `AIOKafkaProducer`: keeps what it is sent, answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answers: list[asyncio.Future[Any]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.client = SimpleNamespace(
            _wait_on_metadata=self._wait, force_metadata_update=self._update
        )

    async def _wait(self, _topic: str) -> None:
        await self.open.wait()

    async def _update(self) -> bool:
        return True

    async def send(self, _topic: str, message: bytes, partition: int) -> asyncio.Future[Any]:
        self.sent.append(message)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def answer(self) -> None:
        for offset, answer in enumerate(self.answers):
            answer.set_result(SimpleNamespace(offset=offset))


class Heard:
    """Notes the messages that were answered."""

    def __init__(self) -> None:
        self.answered: list[tuple[int, int]] = []
        self.attempts: set[int] = set()
        self.ears = Ears(
            answered=self._note, refused=self._never, unknown=self._never, lost=self._never
        )

    def _note(
        self, _inbox: str, n_first: int, _count: int, pos_first: int, attempts: int = 0, /
    ) -> None:
        self.answered.append((n_first, pos_first))
        self.attempts.add(attempts)

    def _never(self, *about: object) -> None:
        raise AssertionError(about)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    fake = FakeKafka()
    monkeypatch.setattr(producer_module, "AIOKafkaProducer", lambda **_settings: fake)
    return fake


def made() -> Producer:
    return Producer(NOWHERE, {"prefix": "", "acks": "all", "idempotence": True})


@pytest.mark.anyio
async def test_what_is_answered_while_a_publish_waits_is_not_published_again(
    kafka: FakeKafka,
) -> None:
    producer = made()
    heard = Heard()
    await producer.resume(NOWHERE, heard.ears)
    await producer.publish(BATCH, 0)
    assert kafka.sent == SENT
    # A sender that came back publishes again what it believes to be unanswered.
    kafka.open.clear()
    again = asyncio.create_task(producer.publish(BATCH, 0))
    await asyncio.sleep(0)
    kafka.answer()
    await asyncio.sleep(0)
    assert heard.answered == [(4, 0), (5, 1), (6, 2)]
    kafka.open.set()
    await again
    assert kafka.sent == SENT


@pytest.mark.anyio
async def test_what_is_answered_while_nobody_listens_is_told_later_and_once(
    kafka: FakeKafka,
) -> None:
    producer = made()
    before, after = Heard(), Heard()
    await producer.resume(NOWHERE, before.ears)
    await producer.publish(BATCH, 0)
    producer.leave()
    kafka.answer()
    await asyncio.sleep(0)
    assert before.answered == []
    await producer.resume(NOWHERE, after.ears)
    await producer.publish(BATCH, 0)
    assert after.answered == [(4, 0), (5, 1), (6, 2)]
    assert kafka.sent == SENT


@pytest.mark.anyio
async def test_a_resend_of_the_librarys_own_is_told_although_nothing_was_published_again(
    kafka: FakeKafka,
) -> None:
    producer = made()
    heard = Heard()
    await producer.resume(NOWHERE, heard.ears)
    await producer.publish(BATCH, 0)
    producer.door.writes["ann"] = 2
    kafka.answer()
    await asyncio.sleep(0)
    assert heard.answered == [(4, 0), (5, 1), (6, 2)]
    assert heard.attempts == {2}
