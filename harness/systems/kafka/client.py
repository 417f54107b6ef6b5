"""A Kafka client: an idempotent producer for a sender, a consumer without a group for a reader.

An inbox is a topic of one partition, and a position is an offset: dense, since nothing here writes
transactions. Reading seeks to the offset behind the reader's own position. The cursor is the offset
committed for a group that nobody joins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import CoordinationType
from aiokafka.protocol.commit import OffsetFetchRequest

from harness.systems.broker.line import Ears, Memory, Unavailable
from harness.systems.kafka.door import Door
from harness.systems.kafka.names import security, topic_of
from harness.systems.kafka.producer import MESSAGE_BYTES_MAX, RETRY_BACKOFF_MS, Producer
from harness.systems.kafka.trouble import as_unavailable
from harness.systems.port import Batch

IN_FLIGHT_MAX = 8_192
"""Messages that one sender hands over ahead of their acknowledgements."""

FETCH_MESSAGES = 1_000
"""Messages that are taken from the consumer's buffer at once."""

FETCH_WITHIN_MS = 1_000
"""How long a fetch waits for the first message."""


class ProducerLine:
    """A sender's connection: the way of its producer to one proxy.

    Args:
        producer: Let through to the proxy, or about to be.
        before: (connections, bytes read) that the producer's door counted on earlier ways.
    """

    in_flight_max = IN_FLIGHT_MAX

    def __init__(self, producer: Producer, before: tuple[int, int]) -> None:
        self._producer = producer
        self._before = before
        self._after: tuple[int, int] | None = None

    @property
    def connections(self) -> int:
        """Connections of the producer that were answered on this way."""
        return self._counted()[0]

    @property
    def bytes_read(self) -> int:
        """Every byte read from their sockets."""
        return self._counted()[1]

    def _counted(self) -> tuple[int, int]:
        door = self._producer.door
        now = self._after or (door.connections, door.bytes_read)
        return now[0] - self._before[0], now[1] - self._before[1]

    async def publish(self, batch: Batch, index_first: int) -> None:
        """Hand over what the producer does not have already."""
        await self._producer.publish(batch, index_first)

    async def ping(self) -> None:
        """Ask the broker for what it knows of itself."""
        await self._producer.ping()

    def abort(self) -> None:
        """Cut the connections; the producer keeps what is unanswered."""
        if self._after is None:
            self._producer.leave()
            self._after = (self._producer.door.connections, self._producer.door.bytes_read)

    async def close(self) -> None:
        """Cut the connections: what is unanswered is resent or reported, never waited for."""
        self.abort()


class ConsumerLine:
    """A reader's connections."""

    def __init__(self, port: int, connect: Mapping[str, Any], ears: Ears) -> None:
        self._prefix: str = connect["prefix"]
        self._door = Door(port)
        self._door.broken = ears.lost
        self._partition = TopicPartition("", 0)
        self._sought = False
        self._committing = asyncio.Lock()
        self._ending: asyncio.Task[None] | None = None
        self._group = f"{self._prefix}cursors"
        self._checks_cursor: bool = connect["checks_cursor"]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{port}",
            client_id=self._door.client_id,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
            fetch_max_wait_ms=FETCH_WITHIN_MS // 2,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            **security(connect),
        )

    @property
    def connections(self) -> int:
        """Connections that were answered: to bootstrap, to the leader, to the coordinator."""
        return self._door.connections

    @property
    def bytes_read(self) -> int:
        """Every byte read from their sockets."""
        return self._door.bytes_read

    async def open(self) -> None:
        """Connect."""
        with as_unavailable():
            await self._consumer.start()

    async def open_inbox(self, inbox: str) -> int:
        """Take the inbox's partition and return its committed offset as a cursor."""
        self._partition = TopicPartition(topic_of(self._prefix, inbox), 0)
        with as_unavailable():
            await self._consumer._client._wait_on_metadata(self._partition.topic)
            self._consumer.assign([self._partition])
            if self._checks_cursor:
                return await self._read_cursor()
            offset = await self._consumer.committed(self._partition)
        return -1 if offset is None else int(offset) - 1

    async def _read_cursor(self) -> int:
        """Ask for the committed offset, as `committed` does, and heed the error of the answer.

        aiokafka 0.14 overlooks it: while a broker that was started again still reads its commits,
        the answer names no offset and an error, and `committed` says that there never was one.
        """
        client = self._consumer._client
        topic, partition = self._partition
        node = await client.coordinator_lookup(CoordinationType.GROUP, self._group)
        answer = await client.send(node, OffsetFetchRequest(self._group, [(topic, [partition])]))
        errors = {answer.error_code, *(part[3] for _, parts in answer.topics for part in parts)}
        if errors - {0}:
            named = kafka_errors.for_code(max(errors)).__name__
            raise Unavailable(f"the cursor cannot be read: {named}")
        offsets = [part[1] for _, parts in answer.topics for part in parts]
        return max(offsets, default=-1) - 1 if max(offsets, default=-1) > 0 else -1

    async def fetch(self, next_pos: int) -> list[tuple[int, bytes]]:
        """Return what the consumer has fetched; it fetches ahead by itself."""
        with as_unavailable():
            if not self._sought:
                self._consumer.seek(self._partition, next_pos)
                self._sought = True
            found = await self._consumer.getmany(
                self._partition, timeout_ms=FETCH_WITHIN_MS, max_records=FETCH_MESSAGES
            )
        return [(one.offset, one.value or b"") for one in found.get(self._partition, ())]

    async def end(self) -> int:
        """Return the offset before the high watermark."""
        with as_unavailable():
            ends = await self._consumer.end_offsets([self._partition])
        return int(ends[self._partition]) - 1

    async def commit(self, pos: int) -> None:
        """Commit the offset behind the cursor."""
        async with self._committing:
            with as_unavailable():
                await self._consumer.commit({self._partition: pos + 1})

    async def ping(self) -> None:
        """Ask for the end of the inbox."""
        await self.end()

    def abort(self) -> None:
        """Cut the connections, and let aiokafka end its tasks."""
        self._door.forget()
        self._end()

    async def close(self) -> None:
        """Close the connections; every commit was waited for."""
        try:
            with as_unavailable():
                await asyncio.shield(self._end())
        finally:
            self._door.forget()

    def _end(self) -> asyncio.Task[None]:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._consumer.stop())
        return self._ending


async def dial_sender(
    connect: Mapping[str, Any], port: int, ears: Ears, memory: Memory
) -> ProducerLine:
    """Let the producer that lies in a sender's memory through to a proxy, or make it.

    Raises:
        Unavailable: The broker did not accept us.
    """
    producer = memory.kept
    before = (0, 0)
    if isinstance(producer, Producer):
        before = (producer.door.connections, producer.door.bytes_read)
    else:
        producer = Producer(port, connect)
        try:
            await producer.start()
        except BaseException:
            await producer.close()
            raise
        memory.kept = producer
    line = ProducerLine(producer, before)
    try:
        await producer.resume(port, ears)
    except BaseException:
        line.abort()
        raise
    return line


async def dial_reader(connect: Mapping[str, Any], port: int, ears: Ears) -> ConsumerLine:
    """Open a reader's line.

    Raises:
        Unavailable: The broker did not accept us.
    """
    line = ConsumerLine(port, connect, ears)
    try:
        await line.open()
    except BaseException:
        line.abort()
        raise
    return line
