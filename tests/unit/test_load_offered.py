"""How far a load generator is behind its schedule, from the sender to the report."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from harness.checkers.fold import Fold
from harness.checkers.run_facts import RunFacts
from harness.history.books import Ledger
from harness.history.recorder import Recorder
from harness.history.records import Invoked, Offered
from harness.load.payloads import Payloads
from harness.load.roster import SenderSeat
from harness.load.sender_actor import SenderActor
from harness.report import words
from harness.report.result import Throughput
from harness.scenario.scenario import Requires
from harness.systems.port import OutboxFull

MS = 1_000_000


class Full:
    """A connector whose sender takes so many batches."""

    def __init__(self, room: int) -> None:
        self.room = room

    def sender(self, **_callbacks: Any) -> Full:
        return self

    def submit(self, _batch: object) -> None:
        if not self.room:
            raise OutboxFull
        self.room -= 1


def test_a_sender_tells_what_was_due_what_it_handed_over_and_how_late(tmp_path: Path) -> None:
    now = [0]
    connector: Any = Full(room=2)
    actor = SenderActor(
        seat=SenderSeat(
            name="sender-0", producer=1, inbox="x", edge="a", group="sender-0", rate_per_s=1000.0,
            count=0, batch_count=10, offset_s=0.0,
        ),
        process=1,
        edges=("a",),
        connector=connector,
        recorder=Ledger(Recorder(tmp_path / "0001.msgpack", run_id="r", name="load-1")),
        payloads=Payloads(1, "random", 1, 1),
        clock=lambda: now[0],
        rng=random.Random(1),
    )  # fmt: skip
    actor.begin(0, 1_000 * MS)
    now[0] = 3 * MS
    actor.pump()
    assert actor.offered(now[0]) == (10, 10, 3 * MS)
    now[0] = 55 * MS  # Due at 0, 10, …, 50: the outbox takes one more, the next waits for room.
    actor.pump()
    assert actor.offered(now[0]) == (60, 30, 45 * MS)
    assert actor.offered(now[0]) == (60, 30, 25 * MS)  # What is due at 30 is overdue by so much.


def test_what_was_never_offered_is_part_of_what_was_wanted() -> None:
    fold = Fold(
        RunFacts(promises=frozenset(), requires=Requires(), expected_digest=lambda *_ids: 0)
    )
    for record in (
        Invoked(0, 1, 7, "x", 0, 60, 0),
        Offered(1, 1, 70, 50, 200 * MS),
        Offered(10**9 - 1, 1, 50, 30, 90 * MS),
        Invoked(10**9, 1, 7, "x", 60, 20, 0),
    ):
        fold.take(record)
    made = fold.judge().throughput_per_s
    assert made.offered == 120.0  # 80 were handed over, 40 were not, in a second.
    assert (made.never_offered, made.late_max_ms) == (40, 200.0)


def test_only_a_generator_that_fell_behind_has_a_line() -> None:
    assert words.generator(Throughput(late_max_ms=20.0)) == ""
    late = words.generator(Throughput(late_max_ms=1_234.0, never_offered=5_000))
    assert late == "fell behind its schedule by 1,234 ms at worst, 5,000 messages never offered"
    assert "never" not in words.generator(Throughput(late_max_ms=101.0))
