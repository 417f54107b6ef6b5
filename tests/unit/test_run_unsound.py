"""A plan that cannot be carried out as it is written is refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.report.result import NotTried
from harness.run.fitting import fit_scenario
from harness.run.unsound import targets_of
from harness.scenario.loader import find
from harness.scenario.parameters import Parameters
from harness.systems.reference.adapter import SYSTEM as REFERENCE
from harness.testing.queue_system import SYSTEM as QUEUE
from tallystick import (
    ClockJump,
    LinkCut,
    Load,
    Login,
    Plan,
    ProcessKill,
    Promote,
    Scenario,
    Send,
    Storm,
    Stream,
    Topology,
    at,
)

STREAM = Stream(to=("ann",), rate_per_s=10.0)


def load(**changed: object) -> Load:
    return Load(**{"duration_s": 1.0, "streams": (STREAM,), **changed})


def scenario(
    *phases: object,
    name: str = "mine",
    checks: tuple[str, ...] = (),
    edges: tuple[str, ...] = ("near", "far"),
) -> Scenario:
    return Scenario(
        name=name,
        claim="c",
        plan=Plan(topology=Topology(edges=edges), phases=phases or (load(),)),
        checks=checks,
    )


def fitted(one: Scenario, system: object = REFERENCE) -> tuple[NotTried, ...]:
    return fit_scenario(one, Parameters({}), system).not_tried


def struck(fault: object, on: str, at_s: float = 0.5) -> Load:
    return load(faults=(at(at_s, fault, on=on),))


SOUND = (
    load(),
    load(streams=()),
    load(during=((0.0, Storm()), (1.0, Promote(inbox="ann", bucket_count=1)))),
    struck(LinkCut(), "client-edge:near:sender-0"),
    struck(LinkCut(), "client-edge:*:reader-ann"),
    struck(LinkCut(), "client-edge:far:load-1"),
    struck(LinkCut(), "*"),
    struck(LinkCut(), "edge-core:far", at_s=1.0),
    struck(ProcessKill(), "core"),
    struck(ProcessKill(), "edge:*"),
    struck(ClockJump(), "edge:far"),
    # Only a running system knows all of its processes.
    struck(ProcessKill(), "a-node-of-its-own"),
    Send(stream=Stream(to=("ann",), count=1)),
    Login(inboxes=("ann",)),
)

UNSOUND = (
    (struck(LinkCut(), "core"), "no such link; nearest are: edge-core"),
    (struck(LinkCut(), "client-edge:there:*"), "no such link"),
    (struck(LinkCut(), "client-edge:near:sender-7"), "nearest are: client-edge:near:sender-"),
    (struck(LinkCut(), "edge-core:there"), "no such link"),
    (struck(ProcessKill(), "edge-core:near"), "is done to a process"),
    (struck(ProcessKill(), "edge:there"), "there are: edge:near, edge:far"),
)


@pytest.mark.parametrize("phase", SOUND, ids=repr)
def test_what_can_be_carried_out_is_taken(phase: object) -> None:
    fitted(scenario(load(), phase))


@pytest.mark.parametrize(("phase", "told"), UNSOUND, ids=[told for _, told in UNSOUND])
def test_what_cannot_is_refused_with_its_place(phase: object, told: str) -> None:
    with pytest.raises(UsageError) as refusal:
        fitted(scenario(load(), phase))
    assert f"mine, phase 2 ({type(phase).__name__}): " in str(refusal.value)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("fault", "on", "targets"),
    [
        (ProcessKill(), "edge:*", ["edge:near", "edge:far"]),
        (ProcessKill(), "edge:far", ["edge:far"]),
        (ProcessKill(), "core", ["core"]),
        (LinkCut(), "edge-core:*", ["edge-core:near", "edge-core:far"]),
        # Who of the clients is connected to what shows only then.
        (LinkCut(), "client-edge:*", ["client-edge:*"]),
        (LinkCut(), "*", ["*"]),
    ],
)
def test_what_a_pattern_strikes_is_known_before_but_for_clients(
    fault: object, on: str, targets: list[str]
) -> None:
    plan = scenario().plan
    assert isinstance(plan, Plan)
    assert targets_of(at(0.5, fault, on=on), plan, REFERENCE) == targets


def test_a_claim_rests_on_checks_that_there_are() -> None:
    assert fitted(scenario(checks=("A1", "B2"))) == ()
    with pytest.raises(UsageError, match=r"rests on check 'Z1', which does not exist; .* --load"):
        fitted(scenario(checks=("A1", "Z1")))


def test_a_claim_without_a_check_that_applies_is_refused() -> None:
    with pytest.raises(UsageError, match="check C1, which carries the claim: queue does not prom"):
        fitted(scenario(checks=("A1", "C1")), QUEUE)


def test_a_dry_run_refuses_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "late.py"
    file.write_text(
        "from tallystick import LinkCut, Load, Plan, Scenario, Stream, Topology, at\n"
        "FAULTS = (at(0.5, LinkCut(), on='client-edge:there:*'),)\n"
        "LOAD = Load(duration_s=1.0, streams=(Stream(to=('ann',)),), faults=FAULTS)\n"
        "PLAN = Plan(topology=Topology(edges=('near',)), phases=(LOAD,))\n"
        "SCENARIO = Scenario(name='late', claim='c', plan=PLAN)\n"
    )
    assert find(str(file)).scenario.name == "late"
    assert run_cli(["run", str(file), "--dry-run"]) == 2
    assert "no such link; nearest are: client-edge:near:" in capsys.readouterr().err
