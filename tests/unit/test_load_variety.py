"""What a seed draws beside a plan: the same for a seed, within what plan and system allow."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DefinitionError
from harness.load.drawing import CROWD_MIN, MANY_MESSAGES, draw
from harness.load.groups import groups_of
from harness.load.odd_names import odd_names
from harness.load.variety import Variety, vary
from harness.run.fitting import fit_scenario
from harness.scenario.loader import load_all
from harness.scenario.parameters import Parameter, Parameters, resolve
from harness.scenario.phases import (
    CatchUp,
    Drain,
    Load,
    Login,
    Phase,
    Promote,
    Send,
    SendExtras,
    Stream,
)
from harness.scenario.scenario import PayloadSpec, Plan, Requires, Scenario
from harness.systems.kafka.names import topic_of
from harness.systems.nats.client import plain
from harness.systems.promises import Ability
from harness.systems.registry import load_system
from harness.systems.takes import Takes, takes_of
from harness.systems.topology import Topology

REFERENCE = load_system("reference")
WIDE = takes_of(REFERENCE)
NARROW = Takes()
STREAM = Stream(to=("bob", "alice"), producers=4, rate_per_s=100.0, batch_count=20)
PLAN = Plan(
    topology=Topology(edges=("here", "there")),
    phases=(Login(inboxes=("bob",)), Load(duration_s=5, streams=(STREAM,)), Drain()),
    requires=Requires(sends_ok=7, delivered=5, resizes=1),
)
SEEDS = st.integers(0, 2**63 - 1).map(str)
TAKES = st.builds(
    Takes,
    payload_bytes_max=st.integers(1, 1 << 20),
    batch_bytes_max=st.integers(1, 4 << 20),
    batch_count_max=st.integers(1, 65_536),
    inbox_bytes_max=st.integers(16, 128),
    any_names=st.booleans(),
    bucket_count_max=st.integers(1, 1_024),
    senders_more=st.integers(0, 300),
    messages_more=st.integers(0, 100_000),
)
PAYLOADS = st.sampled_from(
    [
        PayloadSpec(varies=True),
        PayloadSpec(),
        PayloadSpec(kind="numbered", varies=True),
        PayloadSpec(size_bytes_min=0, size_bytes_max=0, varies=True),
        PayloadSpec(size_bytes_min=200, size_bytes_max=1_800, varies=True),
        PayloadSpec(size_bytes_min=200, size_bytes_max=200),
    ]
)


def drawn(plan: Plan, takes: Takes, seed: str) -> Variety:
    return draw(plan, takes, REFERENCE.abilities, seed)


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, takes=TAKES, payload=PAYLOADS)
def test_a_draw_is_the_same_again_and_within_what_the_system_takes(
    seed: str, takes: Takes, payload: PayloadSpec
) -> None:
    plan = replace(PLAN, payload=payload)
    variety = drawn(plan, takes, seed)
    assert variety == drawn(plan, takes, seed)
    varied = vary(plan, variety)
    own = {"bob", "alice"}
    ids: list[int] = []
    for _, extra in variety.extras:
        ids += extra.producers
        assert not own & set(extra.to)
        assert all(len(inbox.encode()) <= takes.inbox_bytes_max for inbox in extra.to)
        assert all(inbox.isascii() for inbox in extra.to) or takes.any_names
        assert all(1 <= count <= takes.batch_count_max for count in extra.batches)
        for inbox in extra.to:
            spec = varied.payloads.get(inbox, varied.payload)
            assert spec.varies == payload.varies
            if not payload.varies:
                assert spec == payload
                continue
            assert max((*spec.sizes_bytes, *spec.rare_bytes), default=0) <= takes.payload_bytes_max
            assert most_bytes(spec, max(extra.batches)) <= takes.batch_bytes_max or (
                # What the plan itself makes larger than that is the plan's own doing.
                inbox not in varied.payloads and max(extra.batches) == 1
            )
    assert len(ids) == len(set(ids))
    assert all(1 <= one.bucket_count <= takes.bucket_count_max for one in variety.promotions)


def most_bytes(spec: PayloadSpec, count: int) -> int:
    """Return the most that any batch of so many messages holds."""
    if spec.sizes_bytes:
        turns = spec.sizes_bytes * (2 + count // len(spec.sizes_bytes))
        return max(sum(turns[at : at + count]) for at in range(len(spec.sizes_bytes)))
    rare = max(spec.rare_bytes, default=0) * -(-count // max(1, spec.rare_every))
    return count * spec.largest_bytes + rare


def facts(seed: str, plan: Plan = PLAN, takes: Takes = WIDE) -> dict[str, tuple[int | str, ...]]:
    return {one.what: one.values for one in drawn(plan, takes, seed).told}


ALL = [drawn(PLAN, WIDE, str(seed)) for seed in range(200)]


def test_every_seed_reaches_what_is_always_drawn() -> None:
    for seed in range(50):
        told = facts(str(seed))
        sizes = told["sizes"]
        assert {0, 1, WIDE.payload_bytes_max - 1, WIDE.payload_bytes_max} <= set(sizes)
        assert any(32 * 1024 < int(size) <= 64 * 1024 for size in sizes)
        assert int(max(told["buckets"])) > 256
        assert int(told["inboxes of one sender"][0]) > 1
        assert "BOB" in told["inboxes"] or "ALICE" in told["inboxes"]
        own = [*told["inboxes"], "bob", "alice"]
        assert any(str(b) != str(a) and str(b).startswith(str(a)) for a in own for b in own)


def test_many_seeds_reach_what_some_draw() -> None:
    told = [facts(str(seed)) for seed in range(200)]
    longs = [one["messages of one sender"][0] for one in told if "messages of one sender" in one]
    assert 30 < len(longs) < 90
    assert min(map(int, longs)) > MANY_MESSAGES
    crowd = "senders of one message each to one inbox"
    crowds = [int(one[crowd][0]) for one in told if crowd in one]
    assert 30 < len(crowds) < 90
    assert min(crowds) >= CROWD_MIN
    names = {str(name) for one in told for name in one["inboxes"]}
    assert any(not name.isascii() for name in names)
    assert any(len(name.encode()) == WIDE.inbox_bytes_max for name in names)
    assert {"caf\u00e9", "cafe\u0301"} <= names
    ids = {number for one in ALL for _, extra in one.extras for number in extra.producers}
    assert {2**16, 2**32 - 1, 2**63, 2**64 - 1} <= ids
    devices = {login.device for one in ALL for login in one.logins}
    assert devices == {"reader", "tablet"}


def test_large_batches_come_near_the_limit() -> None:
    for variety in ALL:
        (batches,) = (extra for _, extra in variety.extras if extra.kind == "batches")
        (size,) = {variety.payloads[inbox].size_bytes_max for inbox in batches.to}
        assert max(batches.batches) * size > 256 * 1024
        assert (max(batches.batches) + 1) * size > WIDE.batch_bytes_max or max(
            batches.batches
        ) == 1_000


def test_what_a_plan_states_is_never_changed() -> None:
    fixed = replace(PLAN, payload=PayloadSpec(size_bytes_min=200, size_bytes_max=200))
    for seed in range(50):
        varied = vary(fixed, drawn(fixed, WIDE, str(seed)))
        assert varied.payload == fixed.payload
        assert not varied.payloads
        kept: list[Phase] = []
        for phase in varied.phases:
            match phase:
                case Load():
                    kept.append(replace(phase, extras=()))
                case Login(inboxes=("bob",)) | Drain():
                    kept.append(phase)
                case _:
                    assert isinstance(phase, (Promote, Login))
        assert tuple(kept) == fixed.phases


def test_what_is_required_is_raised_by_what_was_drawn() -> None:
    variety = drawn(PLAN, WIDE, "1")
    messages = sum(extra.messages for _, extra in variety.extras)
    requires = vary(PLAN, variety).requires
    assert requires.sends_ok == 7 + messages
    assert requires.delivered == 5 + messages
    assert requires.resizes == 1 + len(variety.promotions)
    free = replace(PLAN, requires=Requires())
    assert vary(free, drawn(free, WIDE, "1")).requires.resizes == 0
    waits = replace(PLAN, requires=Requires(backlog=1))
    assert not any("messages of one sender" in facts(str(seed), waits) for seed in range(30))


def test_who_was_drawn_has_no_proxies_of_its_own() -> None:
    varied = vary(PLAN, drawn(PLAN, WIDE, "3"))
    assert groups_of(varied) == groups_of(PLAN)
    assert {"extra-0", "reader-BOB"} & set(varied.extra_actors)


def test_a_plan_that_does_not_vary_or_sends_nothing_stays_as_it_is() -> None:
    still = replace(PLAN, vary=False)
    for plan in (still, replace(PLAN, phases=(Login(inboxes=("bob",)),))):
        variety = drawn(plan, WIDE, "1")
        assert variety == Variety()
        assert vary(plan, variety) == plan


def test_nothing_is_added_to_loads_that_are_held_against_each_other() -> None:
    loads = [Load(duration_s=1, streams=(STREAM,), label=word) for word in ("baseline", "spike")]
    plan = replace(PLAN, phases=(Login(inboxes=("bob",)), *loads, CatchUp(inboxes=("bob",))))
    phases = vary(plan, drawn(plan, WIDE, "2")).phases
    assert [one for one in phases if isinstance(one, Load)] == loads
    before = phases[: phases.index(loads[0])]
    assert sum(isinstance(one, SendExtras) for one in before) == 1


def test_extras_come_before_what_is_sent_at_once() -> None:
    send = Send(stream=Stream(to=("bob",), count=1))
    plan = replace(PLAN, phases=(send, send))
    for seed in range(20):
        phases = [
            one for one in vary(plan, drawn(plan, WIDE, str(seed))).phases
            if isinstance(one, (Send, SendExtras))
        ]  # fmt: skip
        assert phases.count(send) == 2
        assert phases[-1] == send


def test_buckets_are_drawn_where_a_system_has_them() -> None:
    variety = draw(PLAN, WIDE, frozenset(Ability) - {Ability.RESIZE}, "1")
    assert not variety.promotions
    assert "buckets" not in {one.what for one in variety.told}


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(), taken=st.sets(st.text(min_size=1, max_size=20), max_size=5), takes=TAKES)
def test_names_are_those_that_a_system_takes(seed: int, taken: set[str], takes: Takes) -> None:
    names = odd_names(random.Random(seed), taken, takes, 7)
    assert len(set(names)) == 7
    assert not taken & set(names)
    for one in names:
        Login(inboxes=(one,))  # Any scenario could have it.
        assert len(one.encode()) <= takes.inbox_bytes_max
        assert takes.any_names or one.isascii()


def test_every_scenario_varies_by_its_seed_and_one_setting_turns_it_off() -> None:
    for loaded in load_all():
        scenario = loaded.scenario
        one, other = (
            fit_scenario(scenario, resolve(scenario.parameters, "smoke", {}, seed), REFERENCE)
            for seed in (1, 2)
        )
        assert one.drawn
        assert one.drawn != other.drawn
        off = resolve(scenario.parameters, "smoke", {"vary": "false"}, 1)
        assert off.as_dict()["vary"] is False
        assert not fit_scenario(scenario, off, REFERENCE).drawn


def test_every_scenario_has_the_setting_and_none_declares_it() -> None:
    assert Parameters({}).varies
    own = Parameter(name="vary", default=1, unit="", help="")
    with pytest.raises(DefinitionError, match="every scenario has"):
        Scenario(name="mine", claim="c", plan=PLAN, parameters=(own,))


@pytest.mark.parametrize(("place", "longest"), [("kafka", 249), ("nats", 255)])
def test_adapters_write_names_so_that_each_stays_one_of_its_own(place: str, longest: int) -> None:
    takes = takes_of(load_system(place))
    write = {"kafka": partial(topic_of, "tallystick-0123456789-"), "nats": plain}[place]
    prefix = len("tallystick-0123456789-")
    taken = {"user_1", "user", "a.2e.b", "a=2e=b"}
    names = set(taken)
    for seed in range(300):
        names |= set(odd_names(random.Random(seed), taken, takes, 7))
    written = {name: write(name) for name in names}
    assert len(set(written.values())) == len(names) > 40
    assert all(len(one) + prefix <= longest and one.isascii() for one in written.values())
