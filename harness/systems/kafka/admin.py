"""What is asked of a Kafka cluster outside a run: what it is, and to forget a run's topics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from harness.systems.kafka.door import Door
from harness.systems.kafka.names import security
from harness.systems.kafka.trouble import as_unavailable


async def remove_topics(connect: Mapping[str, Any], port: int) -> None:
    """Remove every topic of a run from a server that others use too; its group stays, unused.

    Raises:
        Unavailable: It did not work; the topics begin with the run's prefix.
    """
    async with _administrator(connect, port) as admin:
        topics = await admin.list_topics()
        ours = [name for name in topics if name.startswith(connect["prefix"])]
        if ours:
            await admin.delete_topics(ours)


async def ask_version(connect: Mapping[str, Any], port: int) -> str:
    """Log in and return what the server is: a Kafka broker tells its cluster, and no version.

    Raises:
        Unavailable: It does not take us in.
    """
    async with _administrator(connect, port) as admin:
        cluster = await admin.describe_cluster()
    return f"Kafka, cluster {cluster.get('cluster_id')}, {len(cluster['brokers'])} broker(s)"


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
