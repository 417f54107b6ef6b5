"""Ends of the core and faults on the links of its clients do not come into each other's way."""

from __future__ import annotations

from harness.run.apart import MEASURED_WITHIN_S, keep_apart
from harness.run.fitting import fit
from harness.scenario.loader import find
from harness.scenario.parameters import resolve
from harness.scenario.phases import Load, Storm, Stream
from harness.scenario.scenario import Plan
from harness.systems.reference.adapter import SYSTEM as REFERENCE
from harness.systems.registry import load_system
from tallystick import LinkCut, LinkReset, Planned, ProcessKill, ProcessPause, Topology, at

LINKS = "client-edge:near:*"
RESTART_S = 20.0


def load(*faults: Planned, **more: object) -> Load:
    streams = (Stream(to=("ann",), rate_per_s=10.0),)
    return Load(duration_s=10.0, streams=streams, faults=faults, **more)


def times(found: Load) -> list[float]:
    return [one.at_s for one in found.faults]


def test_a_fault_on_links_behind_a_kill_waits_for_the_restart_and_so_does_the_end():
    kill = at(2, ProcessKill(duration_s=0.5), on="core")
    found = keep_apart(
        load(kill, at(3, LinkReset(), on=LINKS), during=((1.0, Storm()), (4.0, Storm()))), RESTART_S
    )
    assert times(found) == [2, 23.5]
    assert [after_s for after_s, _ in found.during] == [1.0, 24.5]
    assert found.duration_s == 30.5


def test_a_kill_waits_until_a_fault_on_links_was_measured_and_is_healed():
    cut = at(1, LinkCut(duration_s=2), on=LINKS)
    found = keep_apart(
        load(at(1.5, ProcessKill(duration_s=0.0), on="core"), cut, at(2, LinkReset(), on=LINKS)),
        RESTART_S,
    )
    kill_s = 1 + 2 + MEASURED_WITHIN_S
    assert times(found) == [1, kill_s, 2 + (kill_s - 1.5) + RESTART_S]


def test_every_restart_counts():
    kill = ProcessKill(duration_s=0.0)
    found = keep_apart(load(at(1, kill, on="core"), at(2, kill, on="co*")), RESTART_S)
    assert times(found) == [1, 2 + RESTART_S]
    assert found.duration_s == 10 + 2 * RESTART_S


def test_what_keeps_the_core_moves_nothing():
    wanted = load(
        at(1, ProcessPause(), on="edge:near"), at(1.5, ProcessKill(), on="edge:near"),
        at(2, LinkReset(), on=LINKS),
    )  # fmt: skip
    assert keep_apart(wanted, RESTART_S) == wanted


def test_a_core_that_stands_still_answers_nobody_and_goes_on_by_itself():
    cut = at(1, LinkCut(duration_s=2), on=LINKS)
    pause = at(1.5, ProcessPause(duration_s=4), on="core")
    found = keep_apart(load(cut, pause, at(2, LinkReset(), on=LINKS)), RESTART_S)
    pause_s = 1 + 2 + MEASURED_WITHIN_S
    assert times(found) == [1, pause_s, 2 + (pause_s - 1.5) + 4]


def test_only_a_load_that_says_so_waits_and_only_where_clients_talk_to_the_core():
    faults = (at(1, ProcessKill(duration_s=0.0), on="core"), at(2, LinkReset(), on=LINKS))
    kafka, nats = load_system("kafka"), load_system("nats")

    def fitted(system: object, **more: object) -> list[float]:
        plan = Plan(topology=Topology(edges=("near",)), phases=(load(*faults, **more),))
        (phase,) = fit(plan, system).plan.phases
        return times(phase)

    assert fitted(kafka) == [1, 2]
    assert fitted(kafka, waits_for_restarts=True) == [1, 2 + kafka.restart_within_s]
    assert fitted(nats, waits_for_restarts=True) == [1, 2 + nats.restart_within_s]
    assert fitted(REFERENCE, waits_for_restarts=True) == [1, 2]


def test_what_was_kept_apart_is_not_put_off_again_when_it_is_replayed():
    faults = (at(1, ProcessKill(duration_s=0.0), on="core"), at(2, LinkReset(), on=LINKS))
    wanted = load(*faults, waits_for_restarts=True)
    plan = Plan(topology=Topology(edges=("near",)), phases=(wanted,))
    once = fit(plan, load_system("kafka")).plan
    assert fit(once, load_system("kafka")).plan == once


def test_no_draw_of_chaos_mix_strikes_links_while_kafka_comes_back():
    scenario, kafka = find("chaos_mix").scenario, load_system("kafka")
    kills = 0
    for seed in range(40):
        parameters = resolve(scenario.parameters, "standard", {}, seed=seed)
        (mixed,) = (p for p in fit(scenario.plan_for(parameters), kafka).plan.phases
                    if isinstance(p, Load))  # fmt: skip
        for end in (one for one in mixed.faults if one.fault.kind.startswith("process_")):
            if end.fault.kind == "process_pause":
                continue
            kills += 1
            for one in mixed.faults:
                struck = one.on.startswith("client-edge:")
                back_s = end.at_s + end.fault.duration_s + kafka.restart_within_s
                before = one.at_s + one.fault.duration_s + MEASURED_WITHIN_S <= end.at_s + 1e-9
                assert not struck or before or one.at_s >= back_s - 1e-9, (seed, one, end)
    assert kills > 10
