"""A sender under load: whatever was invoked has an outcome on file, however the sender ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from harness.history.books import Ledger
from harness.history.reader import read_segment
from harness.history.recorder import Recorder
from harness.history.records import BROKEN, Completed, Connected, Invoked
from harness.load.payloads import Payloads
from harness.load.roster import SenderSeat
from harness.load.sender_actor import SenderActor
from harness.systems.port import CONTRADICTED, Batch, Connector, OutboxFull, Outcome


class FullOutbox:
    """A sender that takes `room` batches and is never connected."""

    def __init__(self, outcomes: Callable[[Outcome], None], room: int) -> None:
        self._outcomes = outcomes
        self._room = room
        self._taken: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        if len(self._taken) == self._room:
            raise OutboxFull
        self._taken.append(batch)

    async def close(self) -> None:
        for batch in self._taken:
            self._outcomes(
                Outcome(
                    inbox=batch.inbox,
                    producer=batch.producer,
                    n_first=batch.n_first,
                    count=batch.count,
                    outcome="info",
                )
            )


class Connections:
    """A connector whose senders are `FullOutbox`es."""

    def __init__(self, room: int) -> None:
        self._room = room

    def sender(self, *, outcomes: Callable[[Outcome], None], **_rest: Any) -> FullOutbox:
        return FullOutbox(outcomes, self._room)


def test_a_batch_that_never_found_room_has_an_outcome_too(tmp_path: Path) -> None:
    seat = SenderSeat(
        name="s",
        producer=7,
        inbox="hot",
        edge="e",
        group="g",
        rate_per_s=0.0,
        count=0,
        batch_count=5,
        offset_s=0.0,
    )
    recorder = Ledger(Recorder(tmp_path / "0000.msgpack", run_id="r", name="load-0"))
    actor = SenderActor(
        seat=seat,
        process=0,
        edges=("e",),
        connector=cast(Connector, Connections(room=3)),
        recorder=recorder,
        payloads=Payloads(1),
        clock=lambda: 10,
        rng=random.Random(1),
    )
    actor.begin(0, 100)
    actor.pump()
    actor.end_schedule(10)
    anyio.run(actor.close)
    recorder.close()
    records = list(read_segment(tmp_path / "0000.msgpack"))
    invoked = [record for record in records if isinstance(record, Invoked)]
    completed = [record for record in records if isinstance(record, Completed)]
    assert [record.n_first for record in invoked] == [0, 5, 10, 15]
    assert [(record.n_first, record.outcome) for record in completed] == [
        (0, "info"),
        (5, "info"),
        (10, "info"),
        (15, "fail"),
    ]
    assert actor.finished
    assert (actor.fail_count, actor.info_count) == (5, 15)


class Contradicting:
    """A connector whose senders cannot connect, and say why."""

    def __init__(self, cause: str) -> None:
        self._cause = cause
        self.lost: Callable[[str], None] = lambda _cause: None

    def sender(self, *, lost: Callable[[str], None], **_rest: Any) -> Contradicting:
        self.lost = lost
        return self

    async def connect(self, edge: str) -> None:
        if edge == "none":
            raise ConnectionError(self._cause)


@pytest.mark.parametrize(
    ("cause", "recorded"),
    [("no answer", "lost"), (f"{CONTRADICTED}LOGIN_OK answers other inboxes", BROKEN)],
)
@pytest.mark.parametrize("edge", ["none", "some"])
def test_a_sender_that_the_system_contradicted_is_recorded(
    edge: str, cause: str, recorded: str, tmp_path: Path
) -> None:
    seat = SenderSeat(
        name="s",
        producer=7,
        inbox="x",
        edge=edge,
        group="s",
        rate_per_s=0.0,
        count=1,
        batch_count=1,
        offset_s=0.0,
    )
    recorder = Recorder(tmp_path / "0001.msgpack", run_id="run", name="load-1")
    connector = Contradicting(cause)
    actor = SenderActor(
        seat=seat,
        process=1,
        edges=("some",),
        connector=cast("Connector", connector),
        recorder=recorder,
        payloads=Payloads(1, "random", 1, 1),
        clock=lambda: 1,
        rng=random.Random(1),
    )
    anyio.run(actor.connect)
    if edge == "some":
        connector.lost(cause)
    recorder.close()
    records = read_segment(tmp_path / "0001.msgpack")
    downs = [r.cause for r in records if isinstance(r, Connected) and not r.up]
    assert downs == ([recorded] if edge == "some" or recorded == BROKEN else [])


class Open:
    """A connector of senders that are connected at once and answer everything; notes what."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.edges: list[str] = []
        self.recut_count = 0

    def sender(self, *, outcomes: Callable[[Outcome], None], **_rest: Any) -> Open:
        self._outcomes = outcomes
        return self

    async def connect(self, edge: str) -> None:
        self.edges.append(edge)

    async def disconnect(self) -> None:
        pass

    def cut_resends(self, count_max: int) -> None:
        self.recut_count = count_max

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)


def drawn_actor(path: Path, open_: Open, **more: Any) -> SenderActor:
    seat = SenderSeat(
        name="extra-0", producer=7, inbox="a", edge="near", group="g", rate_per_s=0.0, count=7,
        batch_count=3, offset_s=0.0, inboxes=("a", "b"), batches=(2, 1, 3, 1), period_s=1.0, **more,
    )  # fmt: skip
    return SenderActor(
        seat=seat, process=0, edges=("near", "far", "other"), connector=cast(Connector, open_),
        recorder=Recorder(path / "0000.msgpack", run_id="r", name="load-0"),
        payloads=Payloads(1), clock=lambda: int(2.5e9), rng=random.Random(1),
    )  # fmt: skip


def test_one_that_was_drawn_writes_to_its_inboxes_in_turn_each_numbered_on_its_own(
    tmp_path: Path,
) -> None:
    open_ = Open()
    actor = drawn_actor(tmp_path, open_, recut_count=5)
    actor.begin(0, int(9e9))
    actor.pump()
    told = [(one.inbox, one.n_first, one.count) for one in open_.batches]
    # At 2.5 s three of the four are due.
    assert told == [("a", 0, 2), ("b", 0, 1), ("a", 2, 3)]
    assert open_.recut_count == 5
    assert not actor.finished


def test_one_that_moves_goes_back_and_forth_between_its_two_edges(tmp_path: Path) -> None:
    open_ = Open()
    actor = drawn_actor(tmp_path, open_, between=("near", "far"), move_every_s=0.2)

    async def move() -> None:
        for _ in range(4):
            await actor.connect()
            await actor.cut(0)

    anyio.run(move)
    assert open_.edges == ["near", "far", "near", "far"]


def test_who_leaves_is_not_wanted_back(tmp_path: Path) -> None:
    actor = drawn_actor(tmp_path, Open(), leaves=True)
    anyio.run(actor.connect)
    assert actor.up
    anyio.run(actor.leave)
    assert not actor.up
    assert not actor.wanted_up
