"""A fault whose parameters cannot be is refused when it is made; so is a time that is none."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, UsageError
from harness.faults.clock_jump import GAUGE, ClockJump
from harness.faults.link_cut import LinkCut
from harness.faults.mix import random_mix
from harness.faults.process_kill import ProcessKill
from harness.faults.process_terminate import ProcessTerminate
from harness.faults.registry import faults, from_json, make
from harness.faults.schedule import at, every
from harness.faults.switches import Switches
from harness.faults.targets import ProcessTarget, check_target

NAN, INF = float("nan"), float("inf")


TIMES = [
    (kind, name)
    for kind, cls in faults().items()
    for name in ("duration_s", "wait_s")
    if name in cls.__dataclass_fields__  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("kind", "field"), TIMES)
@pytest.mark.parametrize("value", [NAN, INF, -INF, -1.0, 1e9, "0.5", None, True, [], 1e300])
def test_no_fault_holds_for_a_time_that_is_none(kind: str, field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        make(kind, {field: value})


@pytest.mark.parametrize("kind", sorted(faults()))
def test_every_field_holds_what_it_is_declared_to(kind: str) -> None:
    declared = faults()[kind].__dataclass_fields__  # type: ignore[attr-defined]
    for name, field in declared.items():
        wrong: dict[str, tuple[Any, ...]] = {
            "int": (1.5, "1", None, True, NAN), "float": ("1", None, True, NAN, INF), "str": (1,),
        }  # fmt: skip
        for value in wrong.get(field.type, ()):
            with pytest.raises(UsageError):
                make(kind, {name: value})


@pytest.mark.parametrize("jump_s", [1e11, -1e12, 9.0, 0.0])
def test_a_clock_jumps_no_further_than_it_can_tell(jump_s: float) -> None:
    with pytest.raises(UsageError, match="either way"):
        ClockJump(jump_s=jump_s)


@pytest.mark.parametrize(
    ("at_s", "told"),
    [(-1.0, "begin of the phase"), *((one, "number") for one in (NAN, INF, None, "1", True))],
)
def test_a_fault_is_planned_for_a_time(at_s: Any, told: str) -> None:
    with pytest.raises(UsageError, match=f"at_s={at_s!r}: .*{told}"):
        at(at_s, LinkCut(), on="core")


@pytest.mark.parametrize(
    ("period_s", "begin_s", "end_s"),
    [(NAN, 0, 1), (INF, 0, 1), (0, 0, 1), (1, 0, NAN), (1, 0, INF), (1, 2, 1)],
)
def test_a_period_has_a_span(period_s: float, begin_s: float, end_s: float) -> None:
    with pytest.raises(UsageError):
        every(period_s, LinkCut(), on="core", begin_s=begin_s, end_s=end_s)


@pytest.mark.parametrize(
    ("count", "begin_s", "end_s"), [(-1, 0, 1), (1, 0, NAN), (1, NAN, 1), (1, 0, INF), (1, 1, 1)]
)
def test_a_mix_has_a_span_and_a_count(count: int, begin_s: float, end_s: float) -> None:
    with pytest.raises(UsageError, match=r"a random mix needs|random_mix: .*_s=.*number"):
        random_mix(random.Random(1), [(LinkCut(), "a")], count=count, begin_s=begin_s, end_s=end_s)


SOUND = {"at_s": 1.0, "kind": "link_cut", "on": "x", "parameters": {}}


@pytest.mark.parametrize(
    "change",
    [
        {"at_s": None}, {"on": 7}, {"kind": []}, {"kind": "nope"}, {"parameters": None},
        {"parameters": {"duration_s": "1"}}, {"parameters": {"nope": 1}}, {"parameters": [1]},
    ],
)  # fmt: skip
def test_a_stored_schedule_that_is_none_is_refused(change: dict[str, Any]) -> None:
    assert len(from_json([SOUND])) == 1
    with pytest.raises(UsageError):
        from_json([{**SOUND, **change}])
    for name in SOUND:
        with pytest.raises(UsageError, match=name):
            from_json([{key: value for key, value in SOUND.items() if key != name}])


@pytest.mark.anyio
async def test_a_clock_that_does_not_come_back_is_no_healing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.faults.clock_jump.SEEN_WITHIN_S", 0.1)
    off_s = [0.0]

    async def gauges() -> dict[str, int]:
        return {GAUGE: int((time.time() + off_s[0]) * 1e6)}

    async def nothing() -> None:
        """Neither kill nor start is asked for."""

    node = ProcessTarget(
        name="core",
        pid=lambda: 1,
        kill=nothing,
        start=nothing,
        gauges=gauges,
        switches=Switches.create(tmp_path / "core.bin"),
    )
    jump = ClockJump(jump_s=3600.0)
    off_s[0] = 3600.0
    await jump.inject(node)
    with pytest.raises(HarnessError, match="core: its clock is still off by 3600 s"):
        await jump.heal(node)
    await jump.inject(node)
    off_s[0] = 0.0
    assert (await jump.heal(node))["off_healed_s"] == pytest.approx(0.0, abs=1.0)


async def _nothing() -> None:
    """It is never called."""


def test_only_what_ends_in_order_is_asked_to() -> None:
    node = ProcessTarget(name="toxiproxy", pid=lambda: 1, kill=_nothing, start=_nothing)
    check_target(ProcessKill(), node)
    with pytest.raises(UsageError, match="process_terminate: toxiproxy is no process that"):
        check_target(ProcessTerminate(), node)
