"""What a receiver under load counts as delivered, for those who watch."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from harness.history.books import Ledger
from harness.history.recorder import Recorder
from harness.history.records import Closed, Opened, Record
from harness.load.client_errors import ClientErrors
from harness.load.payloads import Payloads
from harness.load.receiver_actor import ReceiverActor
from harness.load.roster import ReaderSeat
from harness.systems.port import CONTRADICTED, Delivery, Login, RunOfMessages


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Receiving:
    """A connector and its receiver, which does nothing by itself."""

    def receiver(self, **_callbacks: Any) -> Receiving:
        return self

    async def login(self, edge: str, from_pos: int) -> Login:
        return Login(session=1, next_pos=0, cursor=3)


class Written:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)

    def write_now(self, records: tuple[Record, ...]) -> None:
        self.records += records


@pytest.mark.anyio
async def test_a_message_that_comes_again_is_delivered_once(tmp_path: Path) -> None:
    connector: Any = Receiving()
    actor = ReceiverActor(
        seat=ReaderSeat(reader="reader-x", inbox="x", edge="a", group="reader-x"),
        process=1,
        edges=("a",),
        connector=connector,
        recorder=Ledger(Recorder(tmp_path / "0001.msgpack", run_id="r", name="load-1")),
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


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("told", "recorded"),
    [
        ("the connection ended", "lost"),
        ("superseded", "superseded"),
        (f"{CONTRADICTED}a delivery at 5, expected 4", "broken"),
    ],
)
async def test_why_a_session_ended_and_what_its_login_told_is_kept(
    told: str, recorded: str
) -> None:
    connector: Any = Receiving()
    recorder: Any = Written()
    errors = ClientErrors()
    actor = ReceiverActor(
        seat=ReaderSeat(reader="reader-x", inbox="x", edge="a", group="reader-x"),
        process=1,
        edges=("a",),
        connector=connector,
        recorder=recorder,
        payloads=Payloads(1, "random", 1, 1),
        clock=lambda: 1,
        rng=random.Random(1),
        errors=errors,
    )
    await actor.connect()
    actor._on_lost(1, told)
    (opened,) = [one for one in recorder.records if isinstance(one, Opened)]
    (closed,) = [one for one in recorder.records if isinstance(one, Closed)]
    assert (opened.cursor, closed.cause) == (3, recorded)
    assert [one.last for one in errors.told()] == ([] if told == "superseded" else [told])
