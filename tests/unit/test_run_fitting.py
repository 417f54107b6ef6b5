"""A plan is carried out as written, or refused; only what is marked as optional is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.report.codec import decode_suite
from harness.run.fitting import fit, fit_scenario, lack_of
from harness.run.replay import with_schedules
from harness.scenario.estimate import estimate_s
from harness.scenario.loader import find, own_names
from harness.scenario.parameters import Parameters, resolve
from harness.scenario.performed import Performed, promotions_in, schedules_in
from harness.scenario.phases import (
    AskPresence,
    Drain,
    Hands,
    Inspect,
    Kill,
    Load,
    Phase,
    Promote,
    Restart,
    Start,
    Storm,
    Stream,
)
from harness.scenario.scenario import Plan, Requires, Scenario
from harness.systems.reference.adapter import SYSTEM as REFERENCE
from harness.systems.registry import load_system
from harness.testing.queue_system import SYSTEM as QUEUE
from tallystick import (
    CrashInRecovery,
    LinkCut,
    LinkReset,
    Planned,
    ProcessKill,
    ProcessPause,
    Topology,
    at,
    every,
)

PROMOTE = Promote(inbox="ann", bucket_count=5)
STREAM = Stream(to=("ann",), rate_per_s=10.0)
ENDPOINT = "nats?endpoint=127.0.0.1:4222"


def plan(*phases: object, **requires: int) -> Plan:
    return Plan(topology=Topology(edges=("near",)), phases=phases, requires=Requires(**requires))


def load(*faults: Planned, **more: object) -> Load:
    return Load(duration_s=1.0, streams=(STREAM,), faults=faults, **more)


def optional(planned: Planned) -> Planned:
    return replace(planned, optional=True)


def left_out(plan: Plan, system: object = QUEUE, place: str = "") -> list[tuple[str, int]]:
    return [(one.what, one.times) for one in fit(plan, system, place=place).not_tried]


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
        Drain(inspect=True),
        resizes=2,
        fault_effects=4,
    )
    fitted = fit(wanted, REFERENCE)
    assert fitted.plan == wanted
    assert fitted.not_tried == ()


CANNOT_BE = (
    (PROMOTE, "promotion"),
    (load(during=((0.1, PROMOTE),)), "promotion"),
    (load(presence_every_s=0.5), "questions for presence"),
    (AskPresence(users=("ann",)), "questions for presence"),
    (Inspect(inboxes=("ann",)), "inspection of the store"),
    (Restart(role="edge"), "phase Restart of edge"),
    (Restart(role="core"), "phase Restart of core"),
    (Restart(role="core", kill=True), "phase Restart of core"),
    (Kill(role="core"), "phase Kill of core"),
    (Start(role="core"), "phase Start of core"),
    (load(ON_CORE), "process_kill on core"),
    (load(ON_EDGE), "process_kill on edge:near"),
    (load(at(0.5, ProcessKill(), on="edge*")), "process_kill on edge*"),
    (load(ON_CORE_LINK), "link_reset on edge-core:near"),
    (load(at(0.5, LinkCut(), on="edge*")), "link_cut on edge*"),
    (load(at(0.5, ProcessPause(), on="core")), "process_pause on core"),
    (load(at(0.5, CrashInRecovery(), on="core")), "crash_in_recovery on core"),
)


@pytest.mark.parametrize(("phase", "what"), CANNOT_BE, ids=lambda one: str(one)[:40])
def test_what_is_planned_and_cannot_be_is_refused(phase: object, what: str):
    with pytest.raises(UsageError) as refusal:
        fit(plan(load(ON_CLIENTS), phase), QUEUE)
    assert f"  {what}: queue" in str(refusal.value)
    assert "optional=True" in str(refusal.value)
    assert fit(plan(load(ON_CLIENTS), phase), REFERENCE).not_tried == ()


def marked(phase: object) -> object:
    """Return a phase with everything of it marked as optional."""
    if isinstance(phase, Load):
        during = tuple((after_s, replace(event, optional=True)) for after_s, event in phase.during)
        faults = tuple(map(optional, phase.faults))
        return replace(phase, during=during, faults=faults, presence_optional=True)
    return replace(phase, optional=True)


@pytest.mark.parametrize(("phase", "what"), CANNOT_BE, ids=lambda one: str(one)[:40])
def test_what_is_optional_is_left_out_and_told_by_what_and_why(phase: object, what: str):
    wanted = plan(load(ON_CLIENTS), marked(phase))
    (told,) = fit(wanted, QUEUE).not_tried
    assert (told.what, told.times) == (what, 1)
    assert told.why.startswith("queue")
    kept = fit(wanted, QUEUE).plan.phases
    bare = (load(ON_CLIENTS), load()) if isinstance(phase, Load) else (load(ON_CLIENTS),)
    assert (
        tuple(
            replace(one, presence_optional=False) if isinstance(one, Load) else one for one in kept
        )
        == bare
    )
    assert fit(wanted, REFERENCE).plan.phases == wanted.phases


def test_every_refused_thing_is_listed_at_once_with_how_often():
    wanted = plan(
        load(ON_CORE, ON_CORE, ON_CLIENTS, presence_every_s=0.5),
        AskPresence(users=("ann",)),
        Inspect(inboxes=("ann",)),
    )
    with pytest.raises(UsageError) as refusal:
        fit(wanted, QUEUE)
    lines = str(refusal.value).splitlines()
    assert lines[1:4] == [
        "  questions for presence, 2 times: queue has no ability 'presence'",
        "  process_kill on core, 2 times: queue has no ability 'kill'",
        "  inspection of the store: queue has no ability 'inspect'",
    ]


def test_processes_of_the_harness_can_be_paused_whatever_the_system_is():
    ours = [at(0.1, ProcessPause(), on=on) for on in ("load:reader", "load:*", "toxiproxy")]
    assert fit(plan(load(*ours)), QUEUE).plan.phases == (load(*ours),)


def test_an_inspection_by_the_drain_is_refused_only_where_it_was_asked_for():
    assert left_out(plan(load(ON_CLIENTS), Drain())) == []
    with pytest.raises(UsageError, match="inspection of the store"):
        fit(plan(load(ON_CLIENTS), Drain(inspect=True)), QUEUE)


def test_every_repeats_the_mark():
    faults = every(0.2, ProcessKill(), on="core", end_s=0.9, optional=True)
    assert left_out(plan(load(ON_CLIENTS, *faults))) == [("process_kill on core", 5)]


def test_limits_are_refused_where_nothing_can_be_measured_unless_they_are_optional():
    limits = ("ack_p99_ms <= 10", "core_rss_max_bytes <= 10", "edge_rss_max_bytes <= 10")
    wanted = plan(load(ON_CLIENTS))
    with pytest.raises(UsageError) as refusal:
        fit(replace(wanted, limits=limits), QUEUE)
    assert "limit core_rss_max_bytes <= 10: queue promises no bound" in str(refusal.value)
    assert "limit edge_rss_max_bytes" in str(refusal.value)
    fitted = fit(replace(wanted, optional_limits=limits), QUEUE)
    assert fitted.plan.limits == ("ack_p99_ms <= 10",)
    assert [one.what for one in fitted.not_tried] == [f"limit {text}" for text in limits[1:]]
    assert fit(replace(wanted, optional_limits=limits), REFERENCE).plan.limits == limits


def test_a_limit_on_cpu_says_nothing_of_a_server_that_is_not_ours():
    wanted = replace(plan(load(ON_CLIENTS)), limits=("cpu_us_per_message <= 100",))
    assert fit(wanted, load_system("nats"), place="nats").not_tried == ()
    with pytest.raises(UsageError, match="cpu_us_per_message <= 100: nats at an endpoint: its"):
        fit(wanted, load_system(ENDPOINT), place=ENDPOINT)


def test_a_limit_of_the_command_line_has_to_be_measured_by_something(capsys):
    endpoint = ("--system", "nats", "--endpoint", "127.0.0.1:4222")
    for words in (
        ("run", "reset_mid_batch", *endpoint, "--limit", "core_rss_max_bytes=9"),
        ("verify", "--only", "reset_mid_batch", *endpoint, "--limit", "cpu_us_per_message=9"),
        ("run", "reset_mid_batch", "--system", "nats", "--limit", "edge_rss_max_bytes=9"),
    ):
        assert run_cli(words) == 2
        assert f"limit {words[-1].partition('=')[0]} <= 9 has nothing to be" in (
            capsys.readouterr().err
        )
    one = scenario(plan(load(ON_CLIENTS)))
    under_test = load_system("nats")
    fit_scenario(one, Parameters({}), under_test, limits=("core_rss_max_bytes <= 9",))


def test_a_plan_of_which_nothing_is_left_that_breaks_anything_is_refused():
    with pytest.raises(UsageError, match=r"all of it is optional .*: link_reset on edge-core:near"):
        fit(plan(load(optional(ON_CORE_LINK))), QUEUE)
    with pytest.raises(UsageError, match="all of it is optional"):
        fit(plan(load(), Restart(role="core", kill=True, optional=True)), QUEUE)
    # What breaks things by other means than faults is still worth running.
    storm = load(optional(ON_CORE_LINK), during=((0.2, Storm()),))
    assert left_out(plan(storm)) == [("link_reset on edge-core:near", 1)]


def test_what_is_required_is_never_lowered():
    wanted = plan(load(ON_CLIENTS, optional(ON_CORE)), fault_effects=2)
    assert fit(wanted, REFERENCE).plan.requires == wanted.requires
    with pytest.raises(UsageError, match="fault_effects=2, and 1 can be had"):
        fit(wanted, QUEUE)
    resized = plan(replace(PROMOTE, optional=True), load(ON_CLIENTS), resizes=1)
    assert fit(resized, REFERENCE).plan.requires.resizes == 1
    with pytest.raises(UsageError, match="resizes=1, and 0 are planned"):
        fit(resized, QUEUE)


@pytest.mark.parametrize(
    ("phases", "most"),
    [
        ((load(ON_CLIENTS),), 1),
        ((load(at(0.5, LinkReset(), on="edge-core:*")),), 2),
        ((load(at(0.5, ProcessKill(), on="edge:*")),), 2),
        ((load(during=((0.1, Storm()), (0.2, Storm()))),), 2),
        ((Restart(role="core", kill=True), Kill(role="core"), Start(role="core")), 2),
    ],
)
def test_as_many_effects_may_be_required_as_the_plan_can_have(phases: tuple[Phase, ...], most: int):
    wanted = Plan(topology=Topology(edges=("near", "far")), phases=phases)
    fit(replace(wanted, requires=Requires(fault_effects=most)), REFERENCE)
    with pytest.raises(UsageError, match=f"and {most} can be had"):
        fit(replace(wanted, requires=Requires(fault_effects=most + 1)), REFERENCE)
    # Only a running system knows whom such a pattern fits.
    wide = replace(wanted, phases=(load(at(0.5, ProcessPause(), on="*e*")),))
    fit(replace(wide, requires=Requires(fault_effects=9)), REFERENCE)


def scenario(wanted: Plan, **more: object) -> Scenario:
    return Scenario(name="mine", claim="c", plan=wanted, **more)


def test_a_check_that_carries_the_claim_is_refused_where_it_is_not_promised():
    wanted = plan(load(ON_CLIENTS))
    with pytest.raises(UsageError, match="check C1, which carries the claim: queue does not prom"):
        fit_scenario(scenario(wanted, checks=("A1", "C1")), Parameters({}), QUEUE)
    fitted = fit_scenario(
        scenario(wanted, checks=("A1",), optional_checks=("C1",)), Parameters({}), QUEUE
    )
    assert [one.what for one in fitted.not_tried] == ["check C1, which carries the claim"]
    with pytest.raises(UsageError, match="no check of its claim applies to queue: C1"):
        fit_scenario(scenario(wanted, optional_checks=("C1",)), Parameters({}), QUEUE)


ONLY_KILL = plan(load(ON_CORE, ON_CLIENTS))
CHAT_KILL = plan(load(ON_CLIENTS, ON_CORE), fault_effects=2)


@pytest.mark.parametrize("wanted", [ONLY_KILL, CHAT_KILL])
def test_a_kill_at_an_endpoint_is_refused_and_says_whose_processes_they_are(wanted: Plan):
    one = scenario(wanted)
    assert fit_scenario(one, Parameters({}), load_system("nats"), place="nats").not_tried == ()
    with pytest.raises(UsageError) as refusal:
        fit_scenario(one, Parameters({}), load_system(ENDPOINT), place=ENDPOINT)
    assert "process_kill on core: nats at an endpoint: its processes are not ours" in str(
        refusal.value
    )


def test_an_optional_kill_does_not_lower_what_is_required_at_an_endpoint():
    wanted = plan(load(ON_CLIENTS, optional(ON_CORE)), fault_effects=2)
    with pytest.raises(UsageError, match="fault_effects=2, and 1 can be had"):
        fit_scenario(scenario(wanted), Parameters({}), load_system(ENDPOINT), place=ENDPOINT)


@dataclass(frozen=True)
class Waves:
    """An own phase that performs what it declares."""

    performs: tuple[Phase, ...]
    name: str = "waves"

    async def carry_out(self, hands: Hands) -> None:
        for phase in self.performs:
            await hands.perform(phase)


def test_what_an_own_phase_performs_is_fitted_as_the_plan_is():
    waves = Waves((load(ON_CLIENTS, optional(ON_CORE)), replace(PROMOTE, optional=True)))
    fitted = fit(plan(waves), QUEUE)
    assert schedules_in(fitted.plan.phases) == [(ON_CLIENTS,)]
    assert promotions_in(plan(waves).phases) == 1
    assert promotions_in(fitted.plan.phases) == 0
    assert [one.what for one in fitted.not_tried] == ["process_kill on core", "promotion"]
    (phase,) = fitted.plan.phases
    assert isinstance(phase, Performed)
    assert phase.as_it_applies(waves.performs[0]) == (True, load(ON_CLIENTS))
    assert phase.as_it_applies(waves.performs[1]) == (True, None)
    assert phase.as_it_applies(load()) == (False, None)
    with pytest.raises(UsageError, match="process_kill on core: queue has no ability"):
        fit(plan(Waves((load(ON_CLIENTS, ON_CORE),))), QUEUE)


def test_what_an_own_phase_performs_is_held_against_what_is_required_and_takes_its_time():
    waves = Waves((Waves((load(ON_CLIENTS), PROMOTE)), Restart(role="core")))
    with pytest.raises(UsageError, match="fault_effects=3, and 2 can be had"):
        fit(plan(waves, fault_effects=3, resizes=1), REFERENCE)
    long = Waves((replace(load(), duration_s=100.0),))
    assert estimate_s(plan(long)) > 100
    assert estimate_s(fit(plan(long), REFERENCE).plan) > 100


def test_what_an_own_phase_declares_is_a_tuple():
    with pytest.raises(UsageError, match=r"Waves.performs is \[Drain\(.*: a tuple of the phases"):
        fit(plan(load(ON_CLIENTS), Waves([Drain()])), REFERENCE)


def test_a_wrong_target_in_an_own_phase_is_refused():
    waves = Waves((load(at(0.5, LinkReset(), on="client-edge:there:*")),))
    with pytest.raises(UsageError, match=r"phase 1 \(Load, performed by Waves\): link_reset on cl"):
        fit_scenario(scenario(plan(waves)), Parameters({}), REFERENCE)


def test_a_stored_schedule_goes_into_own_phases_and_is_fitted_too():
    waves = Waves((load(ON_CLIENTS),))
    fitted = fit(plan(load(), waves, load(ON_CLIENTS)), QUEUE).plan
    stored = [(), (replace(ON_CLIENTS, at_s=0.1),), (replace(ON_CLIENTS, at_s=0.2),)]
    assert schedules_in(with_schedules(fitted, stored).phases) == stored
    with pytest.raises(UsageError, match="3 load phases now, the stored schedule 2"):
        with_schedules(fitted, stored[:2])
    one = scenario(plan(load(optional(ON_CORE), ON_CLIENTS)))
    again = fit_scenario(one, Parameters({}), QUEUE, schedules=[(ON_CLIENTS, ON_CLIENTS)])
    assert schedules_in(again.plan.phases) == [(ON_CLIENTS, ON_CLIENTS)]
    assert [told.what for told in again.not_tried] == ["process_kill on core"]
    with pytest.raises(UsageError, match="process_kill on core: queue has no ability"):
        fit_scenario(one, Parameters({}), QUEUE, schedules=[(ON_CLIENTS, ON_CORE)])
    gone = at(0.1, LinkReset(), on="client-edge:gone:*")
    with pytest.raises(UsageError, match="there is no such link"):
        fit_scenario(one, Parameters({}), QUEUE, schedules=[(gone,)])


def test_a_suite_lists_what_does_not_apply_and_is_no_pass_if_that_is_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["verify", "--system", "harness.testing.queue_system:SYSTEM", "--profile", "smoke"]
    out = tmp_path / "suite"
    code = run_cli([*words, "--only", "region_partition,edge_crash", "--out", str(out)])
    suite = decode_suite((out / "suite.json").read_bytes())
    skipped = {one.name: one.reason for one in suite.not_applicable}
    assert "link_cut on edge-core:apac" in skipped["region_partition"]
    assert skipped["edge_crash"] == "needs to kill its processes (kill)"
    assert (code, suite.verdict.status.value) == (3, "UNKNOWN")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "UNKNOWN" in line]
    assert "suite, 2 scenarios not applicable, smoke" in line


def test_a_dry_run_of_a_suite_tells_what_is_left_out_and_what_does_not_apply(capsys):
    words = ["verify", "--system", "harness.testing.queue_system:SYSTEM", "--dry-run"]
    assert run_cli([*words, "--only", "reconnect_storm,region_partition,edge_crash"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("reconnect_storm ")
    assert first.endswith("4 planned things not tried")
    assert rest[0] == (
        "  not tried: questions for presence 2 times: queue has no ability 'presence'"
    )
    assert any(line.startswith("standard: 1 scenario, ") for line in rest)
    name = "not applicable to queue"
    assert rest[-2].startswith(f"{name}: region_partition: region_partition plans what queue canno")
    assert ": there are no edges; link_cut_one_way on edge-core:apac, 2 times: queue" in rest[-2]
    assert rest[-1] == f"{name}: edge_crash: needs to kill its processes (kill)"
    assert run_cli([*words, "--only", "edge_crash"]) == 2


CHAT = """
from tallystick import *
KILL = at(0.5, ProcessKill(), on="core"{mark})
RESET = at(0.2, LinkReset(), on="client-edge:eu:*")
LOAD = Load(duration_s=1, streams=(Stream(to=("a",), rate_per_s=100),), faults=(KILL, RESET))
PLAN = Plan(topology=Topology(edges=("eu",)), phases=(LOAD,))
SCENARIO = Scenario(name="chat", claim="c", plan=PLAN)
"""


@pytest.fixture
def chat(tmp_path: Path) -> Callable[[str], str]:
    def write(mark: str) -> str:
        file = tmp_path / "chat.py"
        file.write_text(CHAT.format(mark=mark))
        return str(file)

    return write


def test_a_dry_run_shows_the_plan_as_fitted_to_every_system(chat, capsys):
    words = ["--system", f"reference,{ENDPOINT}", "--dry-run"]
    assert run_cli(["run", chat(", optional=True"), *words]) == 0
    first, second = capsys.readouterr().out.split("System: nats")
    assert "process_kill(duration_s=0.2, wait_s=10.0) on core (optional)" in first
    assert "Not tried" not in first
    assert "process_kill(" not in second
    told = " ".join(second.split("Not tried, though planned")[1].split())
    assert "process_kill on core: nats at an endpoint: its processes are not ours" in told


def test_a_dry_run_tells_which_systems_are_refused_and_shows_the_others(chat, capsys):
    words = ["--system", f"{ENDPOINT},reference", "--dry-run"]
    assert run_cli(["run", chat(""), *words]) == 2
    shown = capsys.readouterr()
    refused, applies = shown.out.split("System: reference")
    assert "refused: chat plans what nats cannot have" in refused
    assert "process_kill(" in applies
    assert shown.err.startswith("tallystick: refused on nats?endpoint=127.0.0.1:4222; see above")
    assert run_cli(["run", chat(""), "--system", ENDPOINT, "--dry-run"]) == 2
    assert run_cli(["run", chat(""), "--system", ENDPOINT]) == 2
    assert "  process_kill on core: nats at an endpoint" in capsys.readouterr().err


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
    parameters = resolve(scenario.parameters, profile, {})
    fitted = fit_scenario(scenario, parameters, under_test, place=system)
    assert fitted.plan.requires.delivered > 0


@pytest.mark.parametrize("profile", ["smoke", "standard", "nightly"])
@pytest.mark.parametrize("name", own_names())
def test_every_scenario_applies_whole_to_the_reference(name: str, profile: str):
    one = find(name).scenario
    assert fit_scenario(one, resolve(one.parameters, profile, {}), REFERENCE).not_tried == ()
