"""Our scenarios as a suite: plans for every profile, lengths, the smoke subset, requirements."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.cli.verify import verify
from harness.faults.fault import LINK, TOXIPROXY
from harness.faults.registry import faults
from harness.run import limits
from harness.scenario.estimate import estimate_s, in_words
from harness.scenario.loader import LoadedScenario, load_all
from harness.scenario.parameters import PROFILES, resolve
from harness.scenario.performed import promotions_in, schedules_in
from harness.scenario.phases import Inspect, Load, Promote, Storm
from harness.scenario.suites import plan_of, suite_of

OURS = {loaded.scenario.name: loaded for loaded in load_all()}

README = Path(__file__).parents[2] / "README.md"

STANDARD_S_MAX = 12 * 60
SMOKE_S_MAX = 90

MARGIN = 0.9
"""Share of the allowed time that an estimate may take."""


@pytest.fixture(params=sorted(OURS))
def loaded(request: pytest.FixtureRequest) -> LoadedScenario:
    return OURS[request.param]


def test_the_scenarios_of_the_design_are_there() -> None:
    assert set(OURS) >= {
        "chaos_mix", "core_crash", "disk_full", "duplicate_storm", "edge_crash", "fault_tour",
        "global_fan_in", "hotkey_bucketing", "long_churn", "noisy_neighbour", "offline_messaging",
        "rebucket_under_fire", "reconnect_storm", "region_partition", "reset_mid_batch",
        "slow_receiver",
    }  # fmt: skip


def test_a_claim_is_one_sentence(loaded: LoadedScenario) -> None:
    claim = loaded.scenario.claim
    assert claim.endswith(".")
    assert ". " not in claim
    assert "Method: " in loaded.doc
    assert loaded.scenario.checks


@pytest.mark.parametrize("profile", PROFILES)
def test_a_plan_can_be_carried_out_as_far_as_can_be_seen(
    loaded: LoadedScenario, profile: str
) -> None:
    plan = plan_of(loaded, profile)
    for text in (*plan.limits, *plan.optional_limits):
        limits.parse(text)
    for phase in plan.phases:
        if not isinstance(phase, Load):
            continue
        assert phase.streams
        assert all(0 <= item.at_s <= phase.duration_s for item in phase.faults)
        assert all(0 <= after_s < phase.duration_s for after_s, _ in phase.during)
        assert all(isinstance(event, Inspect | Promote | Storm) for _, event in phase.during)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_run_in_which_nothing_bit_does_not_count(loaded: LoadedScenario, profile: str) -> None:
    plan = plan_of(loaded, profile)
    needs = plan.requires
    assert needs.sends_ok > 1
    assert needs.delivered > 1
    # Every planned fault must show an effect, so what is required need not count them.
    faults = sum(map(len, schedules_in(plan.phases)))
    changes = promotions_in(plan.phases)
    assert faults or changes or needs.receiver_reconnects or needs.sender_reconnects


@pytest.mark.parametrize("profile", PROFILES)
def test_a_claim_about_going_on_requires_that_readers_came_back(
    loaded: LoadedScenario, profile: str
) -> None:
    if {"A9", "A12", "A13"} & set(loaded.scenario.checks):
        needs = plan_of(loaded, profile).requires
        assert needs.receiver_reconnects + needs.receiver_reconnects_each > 0


@pytest.mark.parametrize("profile", PROFILES)
def test_the_same_seed_makes_the_same_plan(loaded: LoadedScenario, profile: str) -> None:
    scenario = loaded.scenario

    def plan(seed: int) -> str:
        return repr(scenario.plan_for(resolve(scenario.parameters, profile, {}, seed)))

    assert plan(7) == plan(7)


def test_chaos_differs_from_seed_to_seed() -> None:
    scenario = OURS["chaos_mix"].scenario
    plans = {
        repr(scenario.plan_for(resolve(scenario.parameters, "standard", {}, seed)))
        for seed in range(5)
    }
    assert len(plans) == 5


@pytest.mark.parametrize("profile", PROFILES)
def test_the_tour_has_every_fault_that_there_is_on_every_place(profile: str) -> None:
    (load,) = [
        phase for phase in plan_of(OURS["fault_tour"], profile).phases if isinstance(phase, Load)
    ]
    places: dict[str, set[str]] = {}
    for item in load.faults:
        places.setdefault(item.fault.kind, set()).add(item.on.partition(":")[0])
    # Faults that other tests register are none of ours.
    own = {
        kind: cls for kind, cls in faults().items() if cls.__module__.startswith("harness.faults.")
    }
    assert set(places) == set(own)
    for kind, cls in own.items():
        if cls.aims_at == LINK:
            assert places[kind] == {"client-edge", "edge-core"}, kind
    assert places["process_pause"] == {"core", "edge", "load", "toxiproxy"}
    assert places["process_kill"] == places["process_terminate"] == {"core", "edge"}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_else_of_the_tour_strikes_while_toxiproxy_stands_still(seed: int) -> None:
    scenario = OURS["fault_tour"].scenario
    plan = scenario.plan_for(resolve(scenario.parameters, "standard", {"tours": "2"}, seed))
    (planned,) = [phase.faults for phase in plan.phases if isinstance(phase, Load)]
    (stop_s,) = [p.value_for("standard") for p in scenario.parameters if p.name == "stop_s"]
    assert isinstance(stop_s, float)
    for still in (item for item in planned if item.on == TOXIPROXY):
        near = [item for item in planned if abs(item.at_s - still.at_s) < 0.9 * stop_s]
        assert near == [still]
        assert still.fault.duration_s < 0.5 * stop_s


def test_smoke_is_the_subset_that_help_names() -> None:
    names = [loaded.scenario.name for loaded in suite_of("smoke", OURS.values())]
    assert 3 <= len(names) < len(OURS)
    assert ", ".join(sorted(names)) in " ".join((inspect.getdoc(verify) or "").split())
    assert len(suite_of("standard", OURS.values())) == len(OURS)


def test_the_readme_lists_every_scenario_says_which_are_in_smoke_and_counts_them() -> None:
    text = README.read_text("utf-8")
    section = text.partition("## The scenarios\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\w*) ?\|$", section, re.M))
    assert sorted(rows) == sorted(OURS), "README.md, 'The scenarios', has a row for each of them"
    smoke = {loaded.scenario.name for loaded in suite_of("smoke", OURS.values())}
    assert {name for name, in_smoke in rows.items() if in_smoke == "yes"} == smoke
    for words in (f"all {len(OURS)} run", f"a subset of {len(smoke)} scenarios"):
        assert words in " ".join(text.split()), f"README.md, 'Two commands': {words!r} is true now"


def test_smoke_and_standard_fit_their_times() -> None:
    total_s = {
        profile: sum(estimate_s(plan_of(one, profile)) for one in suite_of(profile, OURS.values()))
        for profile in PROFILES
    }
    assert total_s["smoke"] <= MARGIN * SMOKE_S_MAX
    assert total_s["standard"] <= MARGIN * STANDARD_S_MAX
    assert total_s["nightly"] > total_s["standard"]
    for text in (inspect.getdoc(verify) or "", README.read_text("utf-8")):
        assert f"in {in_words(total_s['smoke'])}" in text


def test_a_load_of_standard_is_short_and_smoke_is_shorter(loaded: LoadedScenario) -> None:
    def load_s(profile: str) -> float:
        phases = plan_of(loaded, profile).phases
        return sum(phase.duration_s for phase in phases if isinstance(phase, Load))

    # The tour has a stop for every fault on every place.
    assert load_s("standard") <= (60 if loaded.scenario.name == "fault_tour" else 40)
    assert load_s("smoke") <= load_s("standard") <= load_s("nightly")


@pytest.mark.parametrize("profile", PROFILES)
def test_dry_runs_print_the_plan_and_the_lengths(profile: str, capsys) -> None:
    for name in OURS:
        assert run_cli(["run", name, "--dry-run", "--profile", profile, "--seed", "1"]) == 0
        assert f"{name}, {profile}, seed 1" in capsys.readouterr().out
    assert run_cli(["verify", "--dry-run", "--profile", profile]) == 0
    text = capsys.readouterr().out
    for loaded in suite_of(profile, OURS.values()):
        assert f"{loaded.scenario.name:<24} about " in text
    assert f"{profile}: " in text
    assert "scenarios, about" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "about 5 s"), (47.0, "about 45 s"), (130.0, "about 2 min"), (7_200.0, "about 2.0 h")],
)
def test_lengths_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
