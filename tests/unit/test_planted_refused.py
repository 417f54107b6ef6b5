"""Planted bugs come in by the self-test alone; `run` and `verify` refuse them with exit code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.run.planted import refuse_deployed, refuse_planted
from harness.scenario.scenario import Plan
from harness.systems.registry import load_system
from harness.systems.topology import Topology

PLANTED = "harness.testing.planted_system:no_dedup"

SCENARIO = """
from tallystick import Parameter, Plan, Scenario, Topology

def plan(p):
    options = {"launcher": p.launcher.split()} if p.launcher else {}
    return Plan(topology=Topology(edges=("a",), options=options), phases=())

SCENARIO = Scenario(name="mine", claim="x", plan=plan, parameters=(
    Parameter(name="launcher", default="", unit="", help="A launcher."),))
"""

LAUNCHER = "harness.testing.launch --bug no-dedup"


def plan_with(launcher: Any) -> Plan:
    options = {} if launcher is None else {"launcher": launcher}
    return Plan(topology=Topology(edges=("a",), options=options), phases=())


@pytest.mark.parametrize(
    "launcher",
    [
        ["harness.testing.launch", "--bug", "no-dedup"],
        ("harness.testing.launch", "--held-disk", "5", "--bug", "no-dedup"),
        "harness.testing.launch --bug no-dedup",
        ["harness.testing.launch", "--bug=no-dedup"],
    ],
)
def test_a_launcher_that_plants_a_bug_is_refused(launcher: Any) -> None:
    with pytest.raises(UsageError, match="tallystick selftest"):
        refuse_planted(load_system("reference"), plan_with(launcher))


@pytest.mark.parametrize("launcher", ["evil", ["evil", "--held-disk", "5"], ("my.launch",)])
def test_a_launcher_that_need_not_own_up_is_refused(launcher: Any) -> None:
    with pytest.raises(UsageError, match="a system of their own"):
        refuse_planted(load_system("reference"), plan_with(launcher))


def test_conform_refuses_a_system_with_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["conform", PLANTED]) == 2
    assert "tallystick selftest" in capsys.readouterr().err


@pytest.mark.parametrize("launcher", [None, ["harness.testing.launch", "--held-disk", "5"]])
def test_a_launcher_without_a_bug_is_not(launcher: Any) -> None:
    refuse_planted(load_system("reference"), plan_with(launcher))


def test_a_system_with_a_bug_is_refused_but_where_just_that_one_was_asked_for() -> None:
    system = load_system(PLANTED)
    refuse_planted(system, plan_with(None), "no-dedup")
    for asked_for in ("", "wrong-bucket"):
        with pytest.raises(UsageError, match="no-dedup"):
            refuse_planted(system, plan_with(None), asked_for)


def test_a_node_that_says_it_has_a_bug_is_refused() -> None:
    refuse_deployed({"planted_bug": None})
    refuse_deployed({"planted_bug": "no-dedup"}, "no-dedup")
    for asked_for in ("", "wrong-bucket"):
        with pytest.raises(UsageError, match="no-dedup"):
            refuse_deployed({"planted_bug": "no-dedup"}, asked_for)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "{file}", "--set", f"launcher={LAUNCHER}"],
        ["run", "{file}", "--set", f"launcher={LAUNCHER}", "--dry-run"],
        ["run", "{file}", "--system", PLANTED],
        ["run", "offline_messaging", "--system", PLANTED],
        ["verify", "--only", "offline_messaging", "--system", PLANTED],
        ["run", "offline_messaging", "--set", f"launcher={LAUNCHER}"],
        ["verify", "--only", "{planted}"],
    ],
)
def test_run_and_verify_end_with_2(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # No word of the environment may open the door either.
    monkeypatch.setenv("TALLYSTICK_PLANTED_BUG", "no-dedup")
    (tmp_path / "mine.py").write_text(SCENARIO)
    (tmp_path / "planted.py").write_text(SCENARIO.replace('default=""', f'default="{LAUNCHER}"'))
    files = {"file": "./mine.py", "planted": "./planted.py"}
    assert run_cli([word.format(**files) for word in words]) == 2
    told = capsys.readouterr().err
    assert "planted bugs belong to `tallystick selftest`" in told or "no parameter" in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "results").exists()
