"""Each planted bug is found by the simulator, within a bounded number of seeds, by its check."""

from __future__ import annotations

import pytest

from harness.testing.bugs.registry import PlantedBug, all_bugs, find_bug
from harness.testing.simulator.judge import simulate
from harness.testing.simulator.plan import draw_plan

BUGS = [bug for bug in all_bugs().values() if bug.focus]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_simulator_finds_it_and_names_the_check(bug: PlantedBug) -> None:
    seen: dict[int, str] = {}
    with bug.planted():
        for seed in range(bug.seeds):
            try:
                finding = simulate(draw_plan(seed, bug.focus), bug.factories())
            except Exception as error:
                # A core that trips over its own bug shows it too, but no check has named it yet.
                seen[seed] = f"{type(error).__name__}: {error}"
                continue
            if set(finding.failed) & set(bug.named_by):
                return
            if not finding.fine:
                seen[seed] = str(finding)
    pytest.fail(f"no check of {bug.named_by} failed in {bug.seeds} seeds; seen: {seen}")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_same_seeds_are_fine_without_it(bug: PlantedBug) -> None:
    findings = {seed: simulate(draw_plan(seed, bug.focus)) for seed in range(10)}
    assert {seed: str(f) for seed, f in findings.items() if not f.fine} == {}


def test_replaced_functions_are_put_back() -> None:
    bug = find_bug("wrong_bucket")
    (patch,) = bug.patches
    real = getattr(patch.owner, patch.name)
    with bug.planted():
        assert getattr(patch.owner, patch.name) is patch.replacement
    assert getattr(patch.owner, patch.name) is real


def test_an_unknown_bug_is_answered_with_all_names() -> None:
    with pytest.raises(KeyError, match="no-dedup"):
        find_bug("no_such_bug")
