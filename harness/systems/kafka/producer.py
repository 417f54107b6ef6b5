"""A producer that outlives its connections.

Kafka recognises a resend by a producer id and sequence numbers that live in the producer object, so
the object must be kept when its connections are cut; it sends again by itself, under the same
numbers, once it is let through. A new object would store everything twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

from harness.systems.broker.codec import pack
from harness.systems.broker.line import Ears, Unavailable
from harness.systems.kafka.door import Door
from harness.systems.kafka.names import security, topic_of
from harness.systems.kafka.trouble import as_unavailable
from harness.systems.port import Batch

REQUEST_WITHIN_MS = 120_000
"""How long aiokafka keeps trying before it gives a message up; then nobody knows whether it was
stored. Whoever waits for an answer cuts a silent connection much earlier."""

RETRY_BACKOFF_MS = 20
"""What aiokafka sleeps before it asks or sends again: 100 ms unless it is told otherwise, and often
several times in a row, behind a reconnect and after a broker that came back. That would count as
the broker's time to answer."""

MESSAGE_BYTES_MAX = 2 * 1024 * 1024
"""Largest message: the harness's own limit of 1 MiB, and the id."""

BATCH_BYTES_MAX = 256 * 1024
"""What aiokafka gathers for one request."""

TERMINAL = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.InvalidTopicError,
)
"""Errors after which a message will definitely never be stored: every attempt ends so. After every
other one that aiokafka does not try again by itself it is unknown: leave may be withdrawn, and a
request may be damaged, when an attempt before it was stored."""


class Producer:
    """One idempotent producer and what it has been handed.

    A sender numbers the messages to an inbox without gaps and begins again with the oldest that is
    unanswered, as far as it knows. It may know less than has happened: answers come while a publish
    waits for its turn or for room. So what was handed over once is never handed over again.
    """

    def __init__(self, port: int, connect: Mapping[str, Any]) -> None:
        self.door = Door(port)
        self._prefix: str = connect["prefix"]
        self._ears: Ears | None = None
        self._reach: Counter[str] = Counter()
        self._handed: dict[tuple[int, str], int] = {}
        """The last n that was handed over, by producer and inbox."""
        self._publishing = asyncio.Lock()
        self._late: list[tuple[str, tuple[object, ...]]] = []
        """What there was to tell while nobody listened: the ear and what it is to hear."""
        idempotent = bool(connect["idempotence"])
        self._producer = AIOKafkaProducer(
            bootstrap_servers=f"127.0.0.1:{port}",
            client_id=self.door.client_id,
            acks=connect["acks"],
            enable_idempotence=idempotent,
            request_timeout_ms=REQUEST_WITHIN_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            max_request_size=MESSAGE_BYTES_MAX,
            max_batch_size=BATCH_BYTES_MAX,
            **security(connect),
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            Unavailable: There was no broker.
        """
        with as_unavailable():
            await self._producer.start()

    async def resume(self, port: int, ears: Ears) -> None:
        """Let it through to a proxy and tell its answers there.

        Raises:
            Unavailable: The broker does not answer.
        """
        self.door.reopen(port)
        self.door.broken = ears.lost
        self._ears = ears
        self._reach = ears.reach
        late, self._late = self._late, []
        if late:
            self._reach["kafka.answered_while_away"] += 1
        for ear, about in late:
            self._tell(ear, *about)
        await self.ping()

    async def ping(self) -> None:
        """Make a round trip.

        Raises:
            Unavailable: The broker does not answer.
        """
        with as_unavailable():
            told = await self._producer.client.force_metadata_update()
        if not told:
            raise Unavailable("the broker tells nothing of itself")

    def leave(self) -> None:
        """Cut its connections. Answers that come later are told when it is resumed."""
        self._ears = None
        self.door.shut()

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Hand over what it does not have already."""
        topic = topic_of(self._prefix, batch.inbox)
        whose = (batch.producer, batch.inbox)
        # One at a time: whoever published on the connection before may still wait for room.
        async with self._publishing:
            with as_unavailable():
                await self._producer.client._wait_on_metadata(topic)
                for n, message in pack(batch, index_first):
                    if n <= self._handed.get(whose, -1):
                        self._reach["kafka.resent_by_the_library"] += 1
                    else:
                        await self._send(topic, batch.inbox, n, message)
                        self._handed[whose] = n

    async def _send(self, topic: str, inbox: str, n: int, message: bytes) -> None:
        try:
            answer = await self._producer.send(topic, message, partition=0)
        except TERMINAL as error:
            self._tell("refused", inbox, n, 1, str(error) or type(error).__name__)
        else:
            answer.add_done_callback(partial(self._answered, topic, inbox, n))

    def _answered(self, topic: str, inbox: str, n: int, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            about = answer.result()
            # Without acknowledgements, and for what was known already, there is no offset.
            offset = -1 if about is None else about.offset
            # Not as often as it was published: a resend needs no word of ours, and may be answered
            # before the sender knows that it is through again.
            self._tell("answered", inbox, n, 1, offset, self.door.writes.get(topic, 1))
        else:
            ear = "refused" if isinstance(error, TERMINAL) else "unknown"
            self._tell(ear, inbox, n, 1, str(error) or type(error).__name__)

    def _tell(self, ear: str, *about: object) -> None:
        if self._ears is None:
            # It is never published again: whoever listens next must be told.
            self._late.append((ear, about))
        else:
            getattr(self._ears, ear)(*about)

    async def close(self) -> None:
        """End it, without sending what it still has."""
        self._ears = None
        self._late.clear()
        self.door.forget()
        if self._producer._closed:
            return
        self._producer._closed = True
        await self._producer._sender.close()
        await self._producer.client.close()
