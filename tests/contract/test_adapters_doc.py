"""docs/adapters.md says of each error of a broker what its adapter makes of it, and no other."""

from __future__ import annotations

import asyncio
import json
import re
import struct
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from aiokafka import errors as kafka_errors
from nats.aio.msg import Msg
from valkey.exceptions import ResponseError

from harness.systems.broker.line import Ears
from harness.systems.kafka import producer as kafka_producer
from harness.systems.nats import client as nats_client
from harness.systems.port import Batch
from harness.systems.valkey.client import ValkeyLine

DOC = Path(__file__).parents[2] / "docs" / "adapters.md"
COLUMNS = ("refused", "lost", "unknown")
SYSTEMS = ("NATS", "Valkey", "Kafka")
NOWHERE = 1
PUBLISHED = Batch(
    inbox="ann", producer=7, n_first=0, count=3, lengths=struct.pack("<3I", 1, 1, 1), body=b"abc"
)


def documented() -> list[tuple[str, str, str]]:
    """Return (system, error, what is to be told) of the table."""
    text = DOC.read_text()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines()]
    heads = [index for index, row in enumerate(cells) if row[1:2] == ["definite: never stored"]]
    assert len(heads) == 1
    rows = cells[heads[0] + 2 : heads[0] + 2 + len(SYSTEMS)]
    assert [row[0] for row in rows] == list(SYSTEMS)
    return [
        (row[0], error, told)
        for row in rows
        for told, cell in zip(COLUMNS, row[1:], strict=True)
        for error in re.findall(r"`(\w+)`", cell)
    ]


class Listening:
    """Notes which ear heard something."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[object, ...]]] = []
        ears = {name: partial(self._hear, name) for name in ("answered", *COLUMNS)}
        self.ears = Ears(**ears)

    def _hear(self, name: str, *about: object) -> None:
        self.heard.append((name, about))


async def tell_nats(error: str, listening: Listening) -> None:
    connect = {"prefix": "", "trims": False, "token": ""}
    line = nats_client.NatsLine(NOWHERE, listening.ears, connect)
    line._inboxes.append("ann")
    line._connection.abort = lambda: None  # type: ignore[method-assign] # It was never opened.
    answer = f"{line._answers}.0.1"
    if error == "MaxPayloadError":
        # The second of three is too large; the others are published.
        async def publish(_subject: str, message: bytes, **_more: Any) -> None:
            if message.endswith(b"b"):
                raise nats.errors.MaxPayloadError

        line._client.publish = publish  # type: ignore[method-assign]
        await line.publish(PUBLISHED, 0)
    elif error == "503":
        await line._answered(Msg(line._client, answer, headers={"Status": error}))
    else:
        told = {"error": {"err_code": int(error), "description": "no"}}
        await line._answered(Msg(line._client, answer, data=json.dumps(told).encode()))


async def tell_valkey(error: str, listening: Listening) -> None:
    line = ValkeyLine(NOWHERE, listening.ears, {"prefix": "", "trims": False, "password": ""})
    answer = asyncio.get_running_loop().create_future()
    answer.set_exception(ResponseError(f"{error} no"))
    line._answered(answer, "ann", 1, 1)


async def tell_kafka(error: str, listening: Listening) -> None:
    connect = {"prefix": "", "acks": "all", "idempotence": True}
    producer = kafka_producer.Producer(NOWHERE, connect)
    producer._ears = listening.ears
    answer = asyncio.get_running_loop().create_future()
    answer.set_exception(getattr(kafka_errors, error)())
    producer._answered("inbox-ann", "ann", 1, answer)
    await producer.close()


TELL: dict[str, Callable[[str, Listening], Coroutine[Any, Any, None]]] = {
    "NATS": tell_nats, "Valkey": tell_valkey, "Kafka": tell_kafka,
}  # fmt: skip


@pytest.mark.parametrize(("system", "error", "told"), documented())
def test_an_adapter_makes_of_an_error_what_the_table_says(system: str, error: str, told: str):
    listening = Listening()
    asyncio.run(TELL[system](error, listening))
    ((heard, about),) = listening.heard
    assert heard == told
    if told != "lost":
        assert about[:3] == ("ann", 1, 1), "this message and no other"


def test_no_error_is_definite_that_the_table_leaves_out():
    table = {(system, error) for system, error, told in documented() if told == "refused"}
    assert table == {
        ("NATS", "MaxPayloadError"),
        *(("NATS", str(code)) for code in nats_client.TERMINAL),
        *(("Kafka", error.__name__) for error in kafka_producer.TERMINAL),
    }
