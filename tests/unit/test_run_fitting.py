"""A plan is put to a system without what the system has no ability or no place for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.report.codec import decode_suite
from harness.run.fitting import fit, lack_of
from harness.scenario.loader import find
from harness.scenario.parameters import resolve
from harness.scenario.phases import (
    AskPresence,
    Drain,
    Inspect,
    Kill,
    Load,
    Promote,
    Restart,
    Storm,
    Stream,
)
from harness.scenario.scenario import Plan, Requires
from harness.systems.reference.adapter import SYSTEM as REFERENCE
from harness.systems.registry import load_system
from harness.testing.queue_system import SYSTEM as QUEUE
from tallystick import LinkReset, Planned, ProcessKill, Topology, at

PROMOTE = Promote(inbox="ann", bucket_count=5)
STREAM = Stream(to=("ann",), rate_per_s=10.0)


def plan(*phases: object, **requires: int) -> Plan:
    return Plan(topology=Topology(edges=("near",)), phases=phases, requires=Requires(**requires))


def load(*faults: Planned, **more: object) -> Load:
    return Load(duration_s=1.0, streams=(STREAM,), faults=faults, **more)


ON_CLIENTS = at(0.5, LinkReset(), on="client-edge:near:*")
ON_CORE_LINK = at(0.5, LinkReset(), on="edge-core:near")
ON_EDGE = at(0.5, ProcessKill(), on="edge:near")
ON_CORE = at(0.5, ProcessKill(), on="core")


def test_a_system_with_all_abilities_gets_the_plan_as_it_is():
    wanted = plan(
        PROMOTE,
        load(ON_CORE, ON_EDGE, ON_CORE_LINK, during=((0.1, PROMOTE),), presence_every_s=0.5),
        AskPresence(users=("ann",)),
        Inspect(inboxes=("ann",)),
        Restart(role="edge"),
        resizes=2,
        fault_effects=3,
    )
    assert fit(wanted, REFERENCE) == (wanted, ())


def test_phases_without_an_ability_are_left_out_and_named_once():
    storm = (0.2, Storm())
    wanted = plan(
        PROMOTE,
        load(during=((0.1, PROMOTE), storm), presence_every_s=0.5),
        AskPresence(users=("ann",)),
        Inspect(inboxes=("ann",)),
        Restart(role="edge"),
        Kill(role="edge"),
        Drain(),
        resizes=2,
    )
    fitted, left_out = fit(wanted, QUEUE)
    assert fitted.phases == (load(during=(storm,)), Drain())
    assert fitted.requires.resizes == 0
    assert [line.split(":")[1].strip() for line in left_out] == [
        "promotion",
        "questions for presence",
        "inspection of the store",
        "restart of an edge",
        "kill of an edge",
    ]


def test_faults_on_what_is_not_there_are_left_out_and_no_effect_of_them_is_required():
    wanted = plan(load(ON_CLIENTS, ON_CORE_LINK, ON_EDGE, ON_CORE), fault_effects=4)
    fitted, left_out = fit(wanted, QUEUE)
    assert fitted.phases == (load(ON_CLIENTS),)
    assert fitted.requires.fault_effects == 1
    assert "process_kill on core: queue has no ability 'kill'" in left_out[-1]
    assert "link_reset on edge-core:near" in left_out[0]


def test_a_limit_on_what_is_not_there_is_left_out_and_named():
    limits = ("ack_p99_ms <= 10", "core_rss_max_bytes <= 10", "edge_rss_max_bytes <= 10")
    wanted = replace(plan(load(ON_CLIENTS)), limits=limits)
    fitted, left_out = fit(wanted, QUEUE)
    assert fitted.limits == ("ack_p99_ms <= 10",)
    assert any("limit edge_rss_max_bytes" in line for line in left_out)
    assert any("promises no bound on its memory" in line for line in left_out)
    assert fit(wanted, REFERENCE)[0].limits == limits


def test_a_plan_of_which_no_fault_is_left_is_refused_and_says_why():
    with pytest.raises(UsageError, match=r"to queue: link_reset on edge-core:near$"):
        fit(plan(load(ON_CORE_LINK)), QUEUE)
    # What breaks things by other means than faults is still worth running.
    storm = load(ON_CORE_LINK, during=((0.2, Storm()),))
    assert fit(plan(storm), QUEUE)[0].phases == (load(during=((0.2, Storm()),)),)


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (Restart(role="core"), "restart"),
        (Restart(role="core", kill=True), "kill"),
        (Kill(role="core"), "kill"),
    ],
)
def test_a_node_that_cannot_be_stopped_is_bad_usage_and_no_error_of_the_harness(
    phase: object, word: str
):
    with pytest.raises(UsageError, match=f"needs the ability '{word}', which queue"):
        fit(plan(phase), QUEUE)


def test_a_suite_lists_what_does_not_apply_and_goes_on(tmp_path: Path):
    words = ["verify", "--system", "harness.testing.queue_system:SYSTEM", "--profile", "smoke"]
    out = tmp_path / "suite"
    run_cli([*words, "--only", "region_partition,edge_crash", "--out", str(out)])
    left_out = {one.name: one.reason for one in decode_suite(
        (out / "suite.json").read_bytes()
    ).not_applicable}  # fmt: skip
    assert "link_cut on edge-core:apac" in left_out["region_partition"]
    assert left_out["edge_crash"] == "needs to kill its processes (kill)"


def test_a_dry_run_of_a_suite_tells_what_does_not_apply_and_counts_the_rest(capsys):
    words = ["verify", "--system", "harness.testing.queue_system:SYSTEM", "--dry-run"]
    assert run_cli([*words, "--only", "reconnect_storm,region_partition,edge_crash"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("reconnect_storm ")
    assert rest[1].startswith("standard: 1 scenario, ")
    name = "not applicable to queue"
    assert rest[2].startswith(f"{name}: region_partition: no fault of this scenario applies")
    assert rest[3] == f"{name}: edge_crash: needs to kill its processes (kill)"
    assert len(rest) == 4


def test_what_an_endpoint_lacks_is_said_at_the_start(capsys):
    words = ["run", "core_crash", "--system", "nats", "--endpoint", "127.0.0.1:4222"]
    assert run_cli(words) == 2
    assert capsys.readouterr().err.strip() == (
        "tallystick: core_crash needs to kill its processes (kill); "
        "nats at an endpoint cannot: its processes are somebody else's, and left alone"
    )


@pytest.mark.parametrize("profile", ["smoke", "standard", "nightly"])
@pytest.mark.parametrize("system", ["nats", "valkey", "kafka"])
@pytest.mark.parametrize(
    "name",
    ["offline_messaging", "global_fan_in", "core_crash", "reset_mid_batch", "slow_receiver",
     "reconnect_storm", "noisy_neighbour", "chaos_mix"],
)  # fmt: skip
def test_eight_scenarios_apply_to_every_broker(name: str, system: str, profile: str):
    scenario, under_test = find(name).scenario, load_system(system)
    assert lack_of(scenario, under_test) == ""
    fitted, _ = fit(scenario.plan_for(resolve(scenario.parameters, profile, {})), under_test)
    assert fitted.requires.delivered > 0
