"""What is asked of a Kafka cluster outside a run: what it is, and to forget what runs made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest

from harness.systems.broker.leftovers import Leftover, run_of
from harness.systems.broker.line import Unavailable
from harness.systems.kafka.door import Door
from harness.systems.kafka.names import security
from harness.systems.kafka.trouble import as_unavailable


async def find(connect: Mapping[str, Any], port: int) -> list[Leftover]:
    """Return every topic and consumer group that a run has made.

    Raises:
        Unavailable: The cluster does not tell.
    """
    async with _administrator(connect, port) as admin:
        named = [("topic", name) for name in await admin.list_topics()]
        named += [("consumer group", str(one[0])) for one in await admin.list_consumer_groups()]
    return [
        Leftover(kind=kind, name=name, run=run) for kind, name in named if (run := run_of(name))
    ]


async def remove(connect: Mapping[str, Any], port: int, found: Sequence[Leftover]) -> None:
    """Remove these, as far as they are still there.

    Raises:
        Unavailable: The cluster does not remove one.
    """
    topics = [one.name for one in found if one.kind == "topic"]
    groups = [one.name for one in found if one.kind == "consumer group"]
    async with _administrator(connect, port) as admin:
        if topics:
            _check(
                (await admin.delete_topics(topics)).topic_error_codes,
                kafka_errors.UnknownTopicOrPartitionError,
            )
        for group in groups:
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
            _check(answer.results, kafka_errors.GroupIdNotFound)


async def remove_topics(connect: Mapping[str, Any], port: int) -> None:
    """Remove every topic and group of a run from a server that others use too.

    Raises:
        Unavailable: It did not work; the names begin with the run's prefix.
    """
    run = run_of(connect["prefix"])
    await remove(connect, port, [one for one in await find(connect, port) if one.run == run])


def _check(answers: Iterable[tuple[str, int]], gone: type[Exception]) -> None:
    """Raise what the cluster answers, unless a name is gone already."""
    for name, code in answers:
        error = kafka_errors.for_code(code)
        if code and error is not gone:
            raise Unavailable(f"{name} is not removed: {error.__name__}")


async def ask_version(connect: Mapping[str, Any], port: int) -> str:
    """Log in and return what the server is: a Kafka broker tells its cluster, and no version.

    Raises:
        Unavailable: It does not accept us, or it is one broker of several: a partition's leader
            may be another, and every connection of a run leads to this one.
    """
    async with _administrator(connect, port) as admin:
        cluster = await admin.describe_cluster()
    count = len(cluster["brokers"])
    if count > 1:
        raise Unavailable(
            f"it is one of {count} brokers; the proxies lead to one, so only a cluster of one works"
        )
    return f"Kafka, cluster {cluster.get('cluster_id')}, 1 broker"


@asynccontextmanager
async def _administrator(
    connect: Mapping[str, Any], port: int
) -> AsyncIterator[AIOKafkaAdminClient]:
    door = Door(port)
    admin = AIOKafkaAdminClient(
        bootstrap_servers=f"127.0.0.1:{port}", client_id=door.client_id, **security(connect)
    )
    try:
        with as_unavailable():
            await admin.start()
            yield admin
    finally:
        await admin.close()
        door.forget()
