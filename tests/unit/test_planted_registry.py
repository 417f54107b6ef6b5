"""The registry of planted bugs: complete, consistent, and loud when a part is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness.testing.bugs
from harness.checkers.check import all_checks
from harness.scenario.parameters import resolve
from harness.scenario.phases import Drain
from harness.selftest.docs import DOCUMENT, table, with_table
from harness.selftest.scenarios import SCENARIOS
from harness.selftest.trial import PROFILE
from harness.testing import planted_system
from harness.testing.bugs.registry import (
    BugGone,
    Category,
    Medium,
    Patch,
    Place,
    PlantedBug,
    all_bugs,
)

BUGS = list(all_bugs().values())
UNSPECIFIC = {"D1", "D2", "D3", "D4", "D5"}
"""Rows that say that a run came to no proof, not what was wrong."""

by_name = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


def test_there_are_enough_and_of_every_kind() -> None:
    assert len(BUGS) >= 75
    assert {bug.category for bug in BUGS} == set(Category)
    assert {bug.place for bug in BUGS} == set(Place)
    assert {bug.medium for bug in BUGS} == set(Medium)


def test_each_is_a_file_of_its_own() -> None:
    folder = Path(harness.testing.bugs.__path__[0])
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "registry"}
    assert files == {bug.name.replace("-", "_") for bug in BUGS}


@by_name
def test_it_says_what_is_wrong_and_which_checks_may_name_it(bug: PlantedBug) -> None:
    assert bug.summary.endswith(".")
    assert bug.replaces
    known = {check.id for check in all_checks()}
    assert set(bug.named_by) <= known - UNSPECIFIC
    assert bug.named_by


@by_name
def test_its_scenario_takes_its_parameters_and_is_small(bug: PlantedBug) -> None:
    scenario = SCENARIOS[bug.trial.scenario]
    parameters = resolve(scenario.parameters, PROFILE, bug.trial.settings)
    plan = scenario.plan_for(parameters)
    assert isinstance(plan.phases[-1], Drain)
    assert len(plan.topology.edges) <= 2
    assert plan.load_processes == 1
    on_held_disk = "--held-disk" in plan.topology.options.get("launcher", ())
    if bug.medium is Medium.POWER_LOSS:
        assert on_held_disk


@by_name
def test_what_it_replaces_is_there(bug: PlantedBug) -> None:
    for patch in bug.patches:
        real = patch.real()
        with bug.planted():
            assert vars(patch.owner)[patch.name] is patch.replacement
        assert vars(patch.owner)[patch.name] is real
    made = bug.core, bug.edge, bug.make_sender
    plain = PlantedBug(
        name="none",
        summary="",
        category=Category.LOSS,
        replaces="",
        named_by=(),
        trial=bug.trial,
    )
    assert bug.patches or made != (plain.core, plain.edge, plain.make_sender)


def _two(first: int, second: int) -> int:
    return first + second


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({}, "is there no longer"),
        ({"part": lambda first: first}, "takes"),
        ({"part": 5}, "is now a int"),
    ],
)
def test_a_part_that_is_gone_breaks_loudly(there: dict[str, object], told: str) -> None:
    owner = SimpleNamespace(**there)
    owner.__name__ = "module"
    with pytest.raises(BugGone, match=told):
        Patch(owner=owner, name="part", replacement=_two).real()


def test_a_node_whose_bug_has_no_place_does_not_start(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from reference.core.sequencing import Sequencer\n"
        "from harness.testing.bugs.registry import all_bugs\n"
        "from harness.testing.launch import main\n"
        "all_bugs()\n"
        "del Sequencer._take\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    settings = json.dumps({"database": str(tmp_path / "core.db"), "core": {}, "lifeline": True})
    done = subprocess.run(
        [sys.executable, "-c", program, "--bug", "swapped-payloads", "core", settings],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Sequencer._take is there no longer" in done.stderr


def test_the_system_of_a_bug_is_found_by_name() -> None:
    system = planted_system.no_dedup
    assert system.planted_bug == "no-dedup"
    with pytest.raises(AttributeError, match="no planted bug"):
        planted_system.no_such_bug  # noqa: B018


def test_the_document_has_the_table_of_the_registry() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert with_table(text, table(BUGS)) == text, "run python -m harness.selftest.docs"
