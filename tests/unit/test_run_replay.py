"""Replaying a stored schedule: put in exactly, and what has changed since is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from harness.faults.link_cut import LinkCut
from harness.faults.process_kill import ProcessKill
from harness.faults.schedule import at, to_json
from harness.load.payloads import Bodies
from harness.run.aftermath import Aftermath
from harness.run.brief import Brief, RequiresBrief
from harness.run.judge import facts_of
from harness.run.replay import changes_since, schedules_of, with_schedules
from harness.scenario.loader import find
from harness.scenario.phases import Drain, Load, Login
from harness.scenario.scenario import Plan
from harness.systems.topology import Topology

OLD = (at(1, LinkCut(), on="edge-core:eu"), at(2.5, ProcessKill(), on="core"))
NEW = (at(9, LinkCut(duration_s=1), on="edge-core:eu"),)
PLAN = Plan(
    topology=Topology(edges=("eu",)),
    phases=(
        Login(inboxes=("ann",)),
        Load(duration_s=10, streams=(), faults=NEW),
        Load(duration_s=1, streams=()),
    ),
)


def brief(plan: Plan, source_sha256: str = "a") -> Brief:
    """Return the brief of a run of that plan, as the runner writes it."""
    phases = plan.phases if isinstance(plan.phases[-1], Drain) else (*plan.phases, Drain())
    return Brief(
        run_id="r",
        scenario="s",
        seed=1,
        system="reference",
        promises=[],
        payload=Bodies(kind="random", size_bytes_min=1, size_bytes_max=1),
        requires=RequiresBrief(),
        limits=[],
        faults=[to_json(phase.faults) for phase in phases if isinstance(phase, Load)],
        phases=[repr(phase) for phase in phases],
        route="",
        presence_bound_s=1,
        trims=False,
        source_sha256=source_sha256,
    )


def test_the_stored_schedule_replaces_the_plans_own() -> None:
    stored = brief(with_schedules(PLAN, (OLD, ())))
    replayed = with_schedules(PLAN, schedules_of(stored))
    loads = [phase for phase in replayed.phases if isinstance(phase, Load)]
    assert [phase.faults for phase in loads] == [OLD, ()]
    assert replayed.phases[0] == PLAN.phases[0]
    assert changes_since(stored, replayed, "a") == []


def test_a_plan_with_a_drain_of_its_own_is_the_same_plan() -> None:
    plan = replace(PLAN, phases=(*PLAN.phases, Drain(within_s=7)))
    assert changes_since(brief(plan), plan, "a") == []


def test_what_has_changed_is_said() -> None:
    stored = brief(with_schedules(PLAN, (OLD, ())))
    other = replace(PLAN, phases=(*PLAN.phases[1:], Login(inboxes=("bob",))))
    replayed = with_schedules(other, schedules_of(stored))
    assert changes_since(stored, replayed, "b") == [
        "the scenario's source has changed since that run",
        "the scenario plans other phases now; only the faults are those of that run",
    ]
    drained = replace(PLAN, phases=(*PLAN.phases, Drain(within_s=7)))
    assert len(changes_since(brief(PLAN), drained, "a")) == 1


def test_another_number_of_load_phases_cannot_take_the_schedule() -> None:
    with pytest.raises(UsageError, match="2 load phases now, the stored schedule 1"):
        with_schedules(PLAN, (OLD,))


def test_a_scenario_knows_the_digest_of_its_source(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = (
        "from tallystick import Plan, Scenario, Topology\n"
        "PLAN = Plan(topology=Topology(edges=('eu',)), phases=())\n"
        "SCENARIO = Scenario(name='mine', claim='c', plan=PLAN)\n"
    )
    file.write_text(text)
    first = find(str(file)).source_sha256
    assert len(first) == 64
    assert find(str(file)).source_sha256 == first
    file.write_text(text + "# changed\n")
    assert find(str(file)).source_sha256 != first


def test_what_a_pattern_strikes_is_held_against_what_was_struck() -> None:
    (told,) = to_json((at(1, ProcessKill(), on="edge:*"),))
    old = msgspec.structs.replace(brief(PLAN), faults=[[told]])
    new = msgspec.structs.replace(old, faults=[[{**told, "targets": ["edge:a", "edge:b"]}]])
    kill = "process_kill"
    assert facts_of(old, Aftermath(), torn=False).planned == ((kill, "edge:*"),)
    assert facts_of(new, Aftermath(), torn=False).planned == ((kill, "edge:a"), (kill, "edge:b"))
    # A replay takes the schedule without them, and finds its targets anew.
    assert schedules_of(new) == schedules_of(old)
