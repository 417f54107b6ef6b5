"""What a receiver under load counts as delivered, for those who watch."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from harness.history.books import Ledger
from harness.history.recorder import Recorder
from harness.history.records import Closed, Connected, GaugeSeen, Opened, Record
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

    def __init__(self, login: Login | None = None) -> None:
        self.answer = login or Login(session=1, next_pos=0, cursor=3)
        self.refusal: ConnectionError | None = None
        self.acks: list[int] = []

    async def login(self, edge: str, from_pos: int) -> Login:
        if self.refusal is not None:
            raise self.refusal
        return self.answer

    def ack(self, upto: int) -> None:
        self.acks.append(upto)


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


def receiver(connector: Any, recorder: Any) -> ReceiverActor:
    return ReceiverActor(
        seat=ReaderSeat(reader="reader-x", inbox="x", edge="a", group="reader-x"),
        process=1,
        edges=("a",),
        connector=connector,
        recorder=recorder,
        payloads=Payloads(1, "random", 1, 1),
        clock=lambda: 1,
        rng=random.Random(1),
    )


def delivery(session: int, pos_first: int, count: int, size_bytes: int = 1) -> Delivery:
    return Delivery(
        inbox="x",
        session=session,
        pos_first=pos_first,
        redelivered=False,
        runs=[RunOfMessages(producer=1, n_first=pos_first, count=count)],
        lengths=struct.pack(f"<{count}I", *[size_bytes] * count),
        body=b"x" * count * size_bytes,
    )


@pytest.mark.anyio
async def test_what_passes_the_window_is_recorded_at_once_and_the_most_at_the_end() -> None:
    connector = Receiving(Login(session=7, next_pos=0, window_bytes=100))
    recorder = Written()
    actor = receiver(connector, recorder)
    await actor.connect()

    def told() -> list[tuple[str, int, str, int, int]]:
        return [
            (one.role, one.index, one.name, one.value, one.limit)
            for one in recorder.records
            if isinstance(one, GaugeSeen)
        ]

    actor._on_delivery(delivery(7, 0, 1, 60))
    actor.flush_acks()
    actor._on_delivery(delivery(7, 1, 1, 60))
    assert told() == []
    actor._on_delivery(delivery(7, 2, 1, 60))
    assert told() == [("receiver", 7, "unacknowledged_bytes", 128, 100)]
    actor.flush_acks()
    actor._on_lost(7, "the connection ended")
    assert told() == 2 * [("receiver", 7, "unacknowledged_bytes", 128, 100)]


@pytest.mark.anyio
async def test_who_comes_back_by_the_cursor_acknowledges_only_what_has_come_again() -> None:
    connector = Receiving()
    actor = receiver(connector, Written())
    await actor.connect()
    actor._on_delivery(delivery(1, 0, 10))
    actor.flush_acks()
    actor._on_lost(1, "the connection ended")
    # The acknowledgement was lost on its way: the cursor is still at the begin.
    connector.answer = Login(session=2, next_pos=0, cursor=-1)
    actor.from_cursor = True
    await actor.connect()
    actor.flush_acks()
    assert connector.acks == [9]
    actor._on_delivery(delivery(2, 0, 4))
    actor.flush_acks()
    actor._on_delivery(delivery(2, 4, 6))
    assert actor.waits_for_ack
    actor.flush_acks()
    assert connector.acks == [9, 3, 9]
    assert actor.delivered_count == 10


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("told", "recorded"),
    [("no answer", []), (f"{CONTRADICTED}WELCOME was expected", [("receiver", False, "broken")])],
)
async def test_a_login_that_the_system_contradicted_is_recorded(
    told: str, recorded: list[tuple[str, bool, str]]
) -> None:
    connector = Receiving()
    recorder = Written()
    connector.refusal = ConnectionError(told)
    await receiver(connector, recorder).connect()
    found = [(r.role, r.up, r.cause) for r in recorder.records if isinstance(r, Connected)]
    assert found == recorded
