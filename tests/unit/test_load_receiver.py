"""What a receiver under load counts as delivered, for those who watch."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from harness.history.recorder import Recorder
from harness.load.payloads import Payloads
from harness.load.receiver_actor import ReceiverActor
from harness.load.roster import ReaderSeat
from harness.systems.port import Delivery, Login, RunOfMessages


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Receiving:
    """A connector and its receiver, which does nothing by itself."""

    def receiver(self, **_callbacks: Any) -> Receiving:
        return self

    async def login(self, edge: str, from_pos: int) -> Login:
        return Login(session=1, next_pos=0)


@pytest.mark.anyio
async def test_a_message_that_comes_again_is_delivered_once(tmp_path: Path) -> None:
    connector: Any = Receiving()
    actor = ReceiverActor(
        seat=ReaderSeat(reader="reader-x", inbox="x", edge="a", group="reader-x"),
        process=1,
        edges=("a",),
        connector=connector,
        recorder=Recorder(tmp_path / "0001.msgpack", run_id="r", name="load-1"),
        payloads=Payloads(1, "random", 1, 1),
        clock=lambda: 1,
        rng=random.Random(1),
    )
    await actor.connect()

    def deliver(pos_first: int, count: int) -> None:
        actor._on_delivery(
            Delivery(
                inbox="x",
                session=1,
                pos_first=pos_first,
                redelivered=False,
                runs=[RunOfMessages(producer=1, n_first=pos_first, count=count)],
                lengths=struct.pack(f"<{count}I", *[1] * count),
                body=b"x" * count,
            )
        )

    deliver(0, 10)
    deliver(5, 10)  # Five of them are new.
    deliver(2, 3)
    deliver(20, 1)  # A gap: what is missing was not delivered.
    assert actor.delivered_count == 16
