"""Schedules: decided before the run, the same for the same seed, stored without loss."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.faults.fault import Fault
from harness.faults.link_cut import LinkCut
from harness.faults.link_latency import LinkLatency
from harness.faults.link_pause import LinkPause
from harness.faults.link_reset import LinkReset
from harness.faults.mix import random_mix
from harness.faults.process_kill import ProcessKill
from harness.faults.process_pause import ProcessPause
from harness.faults.registry import from_json, make
from harness.faults.schedule import Planned, at, every, in_order, targets_of, to_json
from harness.faults.store_full import StoreFull

CHOICES = (
    (LinkCut(duration_s=1.5), "edge-core:*"),
    (LinkReset(), "client-edge:eu-west:0"),
    (ProcessKill(duration_s=0.5), "core"),
)


@given(seed=st.integers(0, 2**53 - 1), count=st.integers(0, 40))
def test_a_mix_repeats_by_its_seed_survives_json_and_overlaps_nowhere(
    seed: int, count: int
) -> None:
    drawn = random_mix(random.Random(seed), CHOICES, count=count, begin_s=1, end_s=30)
    assert drawn == random_mix(random.Random(seed), CHOICES, count=count, begin_s=1, end_s=30)
    assert from_json(json.loads(json.dumps(to_json(drawn)))) == drawn
    assert drawn == in_order(drawn)
    assert len(drawn) <= count
    for fault, on in CHOICES:
        mine = [item for item in drawn if item.on == on]
        for first, second in itertools.pairwise(mine):
            assert second.at_s > first.at_s + fault.duration_s


IN_THE_WAY = [
    [(LinkCut(duration_s=5), "edge-core:*"), (LinkCut(duration_s=5), "edge-core:eu")],
    [(ProcessKill(duration_s=5), "core"), (StoreFull(duration_s=5), "core")],
    [(ProcessPause(duration_s=5), "toxiproxy"), (LinkCut(duration_s=5), "edge-core:eu")],
    [(LinkPause(duration_s=5), "edge-core:*"), (LinkCut(duration_s=5), "edge-core:eu")],
]
BESIDE = [
    [(LinkCut(duration_s=5), "edge-core:eu"), (LinkLatency(duration_s=5), "edge-core:eu")],
    [(LinkPause(duration_s=5), "edge-core:eu"), (LinkCut(duration_s=5), "edge-core:us")],
    [(ProcessKill(duration_s=5), "core"), (ProcessKill(duration_s=5), "edge:eu")],
    [(ProcessPause(duration_s=5), "toxiproxy"), (ProcessKill(duration_s=5), "core")],
]


@pytest.mark.parametrize("choices", IN_THE_WAY)
def test_faults_in_each_others_way_are_drawn_apart(choices: list[tuple[Fault, str]]) -> None:
    assert len(random_mix(random.Random(1), choices, count=20, begin_s=0, end_s=1)) == 1


def test_no_reset_is_drawn_into_a_pause_of_its_link() -> None:
    choices = [(LinkPause(duration_s=2), "edge-core:eu"), (LinkReset(), "edge-core:*")]
    drawn = random_mix(random.Random(1), choices, count=40, begin_s=0, end_s=30)
    pauses = [item.at_s for item in drawn if item.fault.kind == "link_pause"]
    resets = [item.at_s for item in drawn if item.fault.kind == "link_reset"]
    assert pauses
    assert resets
    assert not [at_s for at_s in resets if any(0 <= at_s - begun_s <= 2 for begun_s in pauses)]


@pytest.mark.parametrize("choices", BESIDE)
def test_faults_of_other_sorts_or_places_overlap(choices: list[tuple[Fault, str]]) -> None:
    drawn = random_mix(random.Random(1), choices, count=20, begin_s=0, end_s=1)
    assert {(item.fault, item.on) for item in drawn} == set(choices)


def test_two_seeds_give_two_schedules() -> None:
    first, second = (
        random_mix(random.Random(seed), CHOICES, count=9, begin_s=0, end_s=60) for seed in (1, 2)
    )
    assert first != second
    assert len(first) == 9


def test_a_full_span_leaves_draws_out_instead_of_hanging() -> None:
    choices = [(LinkCut(duration_s=5), "a")]
    assert len(random_mix(random.Random(1), choices, count=50, begin_s=0, end_s=1)) == 1


def test_every_has_no_drift_and_a_bound() -> None:
    planned = every(0.1, LinkReset(), on="a", begin_s=1, end_s=101)
    assert len(planned) == 1000
    assert planned[999].at_s == 1 + 999 * 0.1
    assert every(1, LinkReset(), on="a", begin_s=5, end_s=5) == ()
    with pytest.raises(UsageError, match="more than"):
        every(1e-9, LinkReset(), on="a", end_s=60)
    with pytest.raises(UsageError, match="more than 0"):
        every(0, LinkReset(), on="a", end_s=60)
    with pytest.raises(UsageError, match="from the begin"):
        at(-1, LinkReset(), on="a")


def test_a_planned_fault_reads_as_one_line() -> None:
    planned = at(4.5, LinkLatency(latency_ms=80), on="edge-core:apac")
    assert str(planned) == (
        "    4.500 s  link_latency(latency_ms=80, jitter_ms=0, direction=both, duration_s=2.0)"
        " on edge-core:apac"
    )


def test_the_links_to_be_reset_are_named_once() -> None:
    planned = (
        at(1, LinkReset(), on="a"),
        at(2, LinkCut(), on="b"),
        at(3, LinkReset(), on="edge-core:*"),
        at(4, LinkReset(), on="a"),
    )
    assert targets_of(planned, "link_reset") == ("a", "edge-core:*")


def test_unknown_faults_and_parameters_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="no fault 'flood'; there are: clock_jump, "):
        make("flood", {})
    with pytest.raises(UsageError, match=r"link_cut.*colour"):
        make("link_cut", {"colour": 1})
    with pytest.raises(UsageError, match="'at_s'"):
        from_json([{"kind": "link_cut", "on": "a", "parameters": {}}])
    assert isinstance(from_json(to_json([at(1, LinkCut(), on="a")]))[0], Planned)
