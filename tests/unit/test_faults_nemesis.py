"""The nemesis over scripted faults and targets: times, journal, healing whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import anyio
import msgspec
import pytest

from harness.errors import HarnessError, UsageError
from harness.faults import nemesis as nemesis_module
from harness.faults.fault import Effect, Fault, Target, takes_target
from harness.faults.journal import read_journal, write_journal
from harness.faults.link_cut import LinkCut
from harness.faults.link_latency import LinkLatency
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.nemesis import Nemesis
from harness.faults.process_kill import ProcessKill
from harness.faults.process_pause import ProcessPause
from harness.faults.schedule import Planned, at
from harness.faults.store_full import StoreFull
from harness.faults.targets import ProcessTarget
from harness.faults.waiting import while_running
from harness.history.records import HEALING, FaultMarked, Record

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Thing:
    """A target that remembers what was done to it."""

    name: str
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """Does what its fields say."""

    kind: ClassVar[str] = "scripted"
    aims_at: ClassVar[str] = "link"

    duration_s: float = 0.0
    struck: float = 1.0
    error: str = ""
    hangs: bool = False
    heal_error: str = ""

    async def inject(self, target: Target) -> Effect:
        assert isinstance(target, Thing)
        target.log.append("inject")
        if self.error:
            raise ConnectionError(self.error)
        if self.hangs:
            await anyio.sleep_forever()
        return {"struck": self.struck}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        return effect["struck"] > 0

    async def heal(self, target: Target) -> Effect:
        assert isinstance(target, Thing)
        target.log.append("heal")
        if self.heal_error:
            raise HarnessError(self.heal_error)
        return {"healed": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Takes its process for a time."""

    kind: ClassVar[str] = "taking"
    aims_at: ClassVar[str] = "process"
    takes_process: ClassVar[bool] = True

    duration_s: float = 0.0

    async def inject(self, target: Target) -> Effect:
        return {"struck": 1.0}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        return effect["struck"] > 0

    async def heal(self, target: Target) -> Effect:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlsoTaking:
    """Takes its process, in another way."""

    kind: ClassVar[str] = "also_taking"
    aims_at: ClassVar[str] = "process"
    takes_process: ClassVar[bool] = True

    duration_s: float = 0.0

    async def inject(self, target: Target) -> Effect:
        return {"struck": 1.0}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        return effect["struck"] > 0

    async def heal(self, target: Target) -> Effect:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingLink(Scripted):
    """Holds all of its link for a time."""

    kind: ClassVar[str] = "taking_link"
    takes_link: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AlsoTakingLink(Scripted):
    """Closes all of its link."""

    kind: ClassVar[str] = "also_taking_link"
    takes_link: ClassVar[bool] = True


class Things:
    """Targets by name."""

    def __init__(self, *names: str) -> None:
        self.things: list[Any] = [Thing(name) for name in names]
        self.heals = 0
        self.idle: list[Thing] = []

    def resolve(self, on: str) -> Sequence[Target]:
        found = [thing for thing in self.things if on in ("*", thing.name)]
        if not found:
            raise UsageError(f"no target {on!r}")
        return found

    def in_use(self, targets: Sequence[Target]) -> Sequence[Target]:
        return [target for target in targets if target not in self.idle]

    async def heal(self) -> None:
        self.heals += 1


class Clock:
    """A clock that never shows the same time twice."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


def make(things: Things) -> tuple[Nemesis, list[FaultMarked], list[str]]:
    records: list[FaultMarked] = []
    lines: list[str] = []

    def record(mark: Record) -> None:
        assert isinstance(mark, FaultMarked)
        # That healing is about to begin is told by tests of their own.
        if mark.state != HEALING:
            records.append(mark)

    made = Nemesis(targets=things, now_ns=Clock(), record=record, observe=lines.append)
    return made, records, lines


async def test_a_fault_is_requested_confirmed_and_healed_on_every_target_of_a_pattern() -> None:
    things = Things("a", "b")
    nemesis, records, lines = make(things)
    await nemesis.run([at(0.01, Scripted(), on="*")])
    assert [thing.log for thing in things.things] == [["inject", "heal"]] * 2
    for name in "ab":
        mine = [mark for mark in records if mark.target == name]
        assert [mark.state for mark in mine] == ["requested", "confirmed", "healed"]
        assert [mark.effective for mark in mine] == [False, True, True]
        assert mine[0].t_ns < mine[1].t_ns < mine[2].t_ns
    assert [entry.effective for entry in nemesis.journal()] == [True, True]
    assert nemesis.journal()[0].effect == {"struck": 1.0, "healed": 1.0}
    assert nemesis.journal()[0].parameters["struck"] == 1.0
    assert "scripted on a confirmed, asked for at 0.0 s (struck 1)" in lines
    assert nemesis.active == ()


async def test_before_a_fault_is_healed_it_is_marked_that_it_held_until_then() -> None:
    things = Things("a")
    marks: list[tuple[str, list[str]]] = []

    def record(mark: Record) -> None:
        assert isinstance(mark, FaultMarked)
        marks.append((mark.state, list(things.things[0].log)))

    await Nemesis(targets=things, now_ns=Clock(), record=record).run([at(0, Scripted(), on="a")])
    assert marks == [
        ("requested", []),
        ("confirmed", ["inject"]),
        (HEALING, ["inject"]),
        ("healed", ["inject", "heal"]),
    ]


async def test_a_fault_without_effect_says_so() -> None:
    things = Things("a")
    nemesis, _, lines = make(things)
    await nemesis.run([at(0, Scripted(struck=0.0), on="a")])
    assert [entry.effective for entry in nemesis.journal()] == [False]
    assert lines[0] == "scripted on a confirmed, asked for at 0.0 s (struck 0), WITHOUT EFFECT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked:
    """Looks effective until its healing shows otherwise, or the other way round."""

    kind: ClassVar[str] = "unmasked"
    aims_at: ClassVar[str] = "link"
    duration_s: ClassVar[float] = 0.0

    struck: float
    healed: float

    async def inject(self, target: Target) -> Effect:
        return {"struck": self.struck}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        return effect.get("healed", effect["struck"]) > 0

    async def heal(self, target: Target) -> Effect:
        return {"healed": self.healed}


@pytest.mark.parametrize(("struck", "healed"), [(1.0, 0.0), (0.0, 1.0)])
async def test_healing_may_show_that_there_was_no_effect_and_never_makes_one(
    struck: float, healed: float
) -> None:
    nemesis, records, _ = make(Things("a"))
    await nemesis.run([at(0, Unmasked(struck=struck, healed=healed), on="a")])
    assert [mark.effective for mark in records] == [False, struck > 0, False]
    assert not nemesis.journal()[0].effective


async def test_what_a_phase_strikes_stands_in_the_journal_and_is_no_planned_fault() -> None:
    things = Things("a", "b")
    nemesis, records, _ = make(things)
    a, b = things.things
    assert (nemesis.find("a"), nemesis.find("*"), nemesis.find("c")) == (a, None, None)
    await nemesis.strike_now(Scripted(), a)
    await nemesis.begin(Scripted(duration_s=60), b)
    assert b.log == ["inject"]
    assert not await nemesis.end(a)
    assert await nemesis.end(b)
    assert not await nemesis.end(b)
    assert b.log == ["inject", "heal"]
    assert [(one.id, one.target, one.effective) for one in nemesis.journal()] == [
        ("p1", "a", True), ("p2", "b", True),
    ]  # fmt: skip
    assert [mark.state for mark in records] == ["requested", "confirmed", "healed"] * 2


async def test_what_a_phase_began_and_none_ended_is_healed_at_the_drain() -> None:
    things = Things("a")
    nemesis, _, _ = make(things)
    await nemesis.begin(Scripted(duration_s=60), things.things[0])
    await nemesis.heal_all()
    assert things.things[0].log == ["inject", "heal"]


async def test_faults_strike_at_their_times_and_overlap() -> None:
    things = Things("a", "b")
    nemesis, records, _ = make(things)
    await nemesis.run([at(0.06, Scripted(), on="b"), at(0.0, Scripted(duration_s=0.12), on="a")])
    assert [(mark.target, mark.state) for mark in records] == [
        ("a", "requested"),
        ("a", "confirmed"),
        ("b", "requested"),
        ("b", "confirmed"),
        ("b", "healed"),
        ("a", "healed"),
    ]


async def test_faults_of_one_kind_on_one_target_take_turns() -> None:
    things = Things("a")
    nemesis, records, _ = make(things)
    await nemesis.run([at(0.0, Scripted(duration_s=0.1), on="a"), at(0.02, Scripted(), on="a")])
    assert things.things[0].log == ["inject", "heal", "inject", "heal"]
    assert [(mark.fault, mark.state) for mark in records] == [
        ("f1", "requested"), ("f1", "confirmed"), ("f2", "requested"), ("f1", "healed"),
        ("f2", "confirmed"), ("f2", "healed"),
    ]  # fmt: skip


async def _run_until(nemesis: Nemesis, planned: list[Planned], reached: Callable[[], bool]) -> None:
    """Run a schedule and interrupt it once something has happened."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(nemesis.run, planned)
            while not reached():
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()


async def test_a_fault_that_waits_for_its_turn_when_all_ends_is_never_done() -> None:
    things = Things("a")
    nemesis, _, _ = make(things)
    planned = [at(0, Scripted(duration_s=60), on="a"), at(0.02, Scripted(), on="a")]
    await _run_until(nemesis, planned, lambda: len(nemesis.journal()) == 2 and nemesis.active != ())
    await nemesis.heal_all()
    assert [strike.confirmed_ns is None for strike in nemesis.journal()] == [False, True]
    assert "inject" not in things.things[0].log[1:]


async def test_what_takes_a_process_waits_and_what_only_holds_does_not() -> None:
    nemesis, records, _ = make(Things("a"))
    await nemesis.run(
        [
            at(0.0, Scripted(duration_s=0.2), on="a"),
            at(0.02, Taking(duration_s=0.1), on="a"),
            at(0.04, AlsoTaking(), on="a"),
        ]
    )
    assert [(mark.kind, mark.state) for mark in records if mark.state != "requested"] == [
        ("scripted", "confirmed"),
        ("taking", "confirmed"),
        ("taking", "healed"),
        ("also_taking", "confirmed"),
        ("also_taking", "healed"),
        ("scripted", "healed"),
    ]


async def test_what_takes_a_link_takes_turns_there_and_nowhere_else() -> None:
    nemesis, records, _ = make(Things("a", "b"))
    await nemesis.run(
        [
            at(0.0, TakingLink(duration_s=0.2), on="a"),
            at(0.02, AlsoTakingLink(), on="a"),
            at(0.04, AlsoTakingLink(), on="b"),
            at(0.06, Scripted(), on="a"),
        ]
    )
    assert [
        (mark.kind, mark.target, mark.state) for mark in records if mark.state != "requested"
    ] == [
        ("taking_link", "a", "confirmed"),
        ("also_taking_link", "b", "confirmed"),
        ("also_taking_link", "b", "healed"),
        ("scripted", "a", "confirmed"),
        ("scripted", "a", "healed"),
        ("taking_link", "a", "healed"),
        ("also_taking_link", "a", "confirmed"),
        ("also_taking_link", "a", "healed"),
    ]


@pytest.mark.parametrize("fault", [LinkPause(), LinkCut(), LinkReset()], ids=lambda one: one.kind)
def test_pauses_cuts_and_resets_take_their_link(fault: Fault) -> None:
    assert takes_target(fault)
    assert not takes_target(LinkLatency())


async def test_a_schedule_that_is_cut_short_is_healed_by_heal_all() -> None:
    things = Things("a")
    nemesis, records, _ = make(things)
    planned = [at(0, Scripted(duration_s=60), on="a")]
    await _run_until(nemesis, planned, lambda: nemesis.active != ())
    assert nemesis.active == ("scripted on a",)
    assert nemesis.journal()[0].healed_ns is None
    await nemesis.heal_all()
    assert things.things[0].log == ["inject", "heal"]
    assert things.heals == 1
    assert records[-1].state == "healed"
    assert nemesis.active == ()
    await nemesis.heal_all()
    assert things.things[0].log == ["inject", "heal"]


async def test_an_injection_that_was_interrupted_is_healed_too() -> None:
    things = Things("a")
    nemesis, _, _ = make(things)
    await _run_until(
        nemesis, [at(0, Scripted(hangs=True), on="a")], lambda: "inject" in things.things[0].log
    )
    await nemesis.heal_all()
    assert things.things[0].log == ["inject", "heal"]
    assert not nemesis.journal()[0].effective


async def test_what_cannot_be_healed_keeps_nothing_else_from_being_healed() -> None:
    things = Things("a", "b")
    nemesis, _, _ = make(things)
    stuck = Scripted(duration_s=60, heal_error="a is stuck")
    planned = [at(0, stuck, on="a"), at(0.01, Scripted(duration_s=60), on="b")]
    await _run_until(
        nemesis, planned, lambda: all("inject" in thing.log for thing in things.things)
    )
    with pytest.raises(HarnessError, match="a is stuck"):
        await nemesis.heal_all()
    assert things.things[1].log == ["inject", "heal"]
    assert things.heals == 1


async def test_trouble_is_an_error_of_the_harness_that_names_fault_and_target() -> None:
    nemesis, _, _ = make(Things("a"))
    with pytest.raises(ExceptionGroup) as caught:
        await nemesis.run([at(0, Scripted(error="no route"), on="a")])
    assert caught.group_contains(HarnessError, match="scripted on a: no route")


async def test_a_fault_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nemesis_module, "FAULT_WITHIN_S", 0.05)
    nemesis, _, _ = make(Things("a"))
    with pytest.raises(ExceptionGroup) as caught:
        await nemesis.run([at(0, Scripted(hangs=True), on="a")])
    assert caught.group_contains(HarnessError, match="scripted on a: not done within")


def process(name: str, **abilities: Any) -> ProcessTarget:
    return ProcessTarget(name=name, pid=lambda: None, **abilities)


async def nothing() -> None: ...


def test_a_schedule_without_a_target_of_its_sort_is_found_before_the_run() -> None:
    things = Things()
    things.things = [process("a"), process("b", kill=nothing, start=nothing)]
    nemesis, _, _ = make(things)
    nemesis.check([at(0, ProcessPause(), on="*"), at(0, ProcessKill(), on="b")])
    wrong = {
        "no target 'c'": at(0, ProcessPause(), on="c"),
        "process_kill: a is no process that can be killed": at(0, ProcessKill(), on="*"),
        "store_full: b is no process that was started with switches": at(0, StoreFull(), on="b"),
        "link_cut: a is no link": at(0, LinkCut(), on="a"),
    }
    for words, planned in wrong.items():
        with pytest.raises(UsageError, match=words):
            nemesis.check([at(0, ProcessPause(), on="a"), planned])


async def test_a_turn_is_held_only_while_the_process_runs() -> None:
    """Between the blow and the healing of one fault, another one finds nobody to strike."""
    alive: list[int] = []
    target = ProcessTarget(name="a", pid=lambda: alive[0] if alive else None)
    held: list[str] = []

    async def strike() -> None:
        async with while_running(target, within_s=5):
            held.append("struck" if alive else "nobody")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(strike)
        await anyio.sleep(0.05)
        assert held == []
        async with target.turn:
            alive.append(7)
            await anyio.sleep(0.05)
            assert held == []
    assert held == ["struck"]
    alive.clear()
    async with while_running(target, within_s=0.02):
        held.append("over")
    assert held == ["struck", "over"]


async def test_the_journal_is_one_json_object_per_line(tmp_path: Path) -> None:
    nemesis, _, _ = make(Things("a", "b"))
    await nemesis.run([at(0, Scripted(), on="*")])
    write_journal(tmp_path / "faults.jsonl", nemesis.journal())
    assert read_journal(tmp_path / "faults.jsonl") == nemesis.journal()
    lines = (tmp_path / "faults.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line)["id"] for line in lines] == ["f1", "f2"]
