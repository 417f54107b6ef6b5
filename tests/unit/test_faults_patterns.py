"""What a fault on a pattern of client links strikes: those in use, as one fault."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

import anyio
import pytest

from harness.faults import nemesis as nemesis_module
from harness.faults.fault import Effect, Target
from harness.faults.nemesis import Nemesis
from harness.faults.schedule import at
from harness.history.records import FaultMarked, Record

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Thing:
    """A target."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """Has an effect on the targets it names."""

    kind: ClassVar[str] = "blow"
    aims_at: ClassVar[str] = "any"
    duration_s: ClassVar[float] = 0.0

    felt_by: tuple[str, ...]

    async def inject(self, target: Target) -> Effect:
        return {"felt": float(target.name in self.felt_by)}

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        return effect["felt"] == 1

    async def heal(self, target: Target) -> Effect:
        return {}


class Links:
    """Client links of which some are in use, after so many looks."""

    names = ("client-edge:a:x", "client-edge:a:y", "client-edge:b:x", "edge-core:a", "edge-core:b")

    def __init__(self, used: Sequence[str], looks: int = 0) -> None:
        self.used = used
        self.looks = looks

    def resolve(self, on: str) -> Sequence[Target]:
        return [Thing(name) for name in self.names if fnmatchcase(name, on)]

    def in_use(self, targets: Sequence[Target]) -> Sequence[Target]:
        self.looks -= 1
        used = self.used if self.looks < 0 else ()
        return [t for t in targets if t.name in used or not t.name.startswith("client")]

    async def heal(self) -> None: ...


async def strike(
    links: Links,
    on: str,
    felt_by: tuple[str, ...] = (),
    fault: Blow | None = None,
    wait_s: float = 0.0,
) -> list[FaultMarked]:
    marks: list[FaultMarked] = []

    def record(mark: Record) -> None:
        assert isinstance(mark, FaultMarked)
        marks.append(mark)

    clock = itertools.count(1)
    nemesis = Nemesis(
        targets=links, now_ns=lambda: next(clock), record=record, in_use_within_s=wait_s
    )
    await nemesis.run([at(0, fault or Blow(felt_by=felt_by), on=on)])
    return [mark for mark in marks if mark.state == "confirmed"]


async def test_clients_in_use_are_struck_as_one_fault() -> None:
    links = Links(used=["client-edge:a:x", "client-edge:a:y"], looks=2)
    marks = await strike(links, "client-edge:*", felt_by=("client-edge:a:y",))
    assert {mark.target: mark.effective for mark in marks} == {
        "client-edge:a:x": False,
        "client-edge:a:y": True,
    }
    assert {mark.fault for mark in marks} == {"f1"}


async def test_a_client_that_went_away_when_it_was_struck_is_struck_again_elsewhere() -> None:
    links = Links(used=["client-edge:a:x"])

    class Moving(Blow):
        async def inject(self, target: Target) -> Effect:
            links.used = ["client-edge:b:x"]
            return await super().inject(target)

    marks = await strike(links, "client-edge:*:x", fault=Moving(felt_by=("client-edge:b:x",)))
    assert [(mark.target, mark.effective, mark.fault) for mark in marks] == [
        ("client-edge:a:x", False, "f1"),
        ("client-edge:b:x", True, "f1"),
    ]


async def test_other_targets_of_a_pattern_are_a_fault_each() -> None:
    every = ("client-edge:b:x", "edge-core:a", "edge-core:b")
    marks = await strike(Links(used=["client-edge:b:x"]), "*", felt_by=every)
    assert tuple(mark.target for mark in marks) == every
    assert len({mark.fault for mark in marks}) == 3


async def test_where_nobody_connects_one_link_shows_that_nothing_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nemesis_module, "IN_USE_WITHIN_S", 0.05)
    marks = await strike(Links(used=[]), "client-edge:a:*")
    assert {(mark.target, mark.effective) for mark in marks} == {("client-edge:a:x", False)}


async def test_a_fault_waits_for_clients_as_long_as_the_system_may_need_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nemesis_module, "IN_USE_WITHIN_S", 0.01)
    links = Links(used=[])

    async def come_back() -> None:
        await anyio.sleep(0.1)
        links.used = ["client-edge:b:x"]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come_back)
        marks = await strike(links, "client-edge:*:x", felt_by=("client-edge:b:x",), wait_s=5.0)
    assert [(mark.target, mark.effective) for mark in marks] == [("client-edge:b:x", True)]
