"""The reference's machines in a simulated world: whatever happens, no check finds anything."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.testing.simulator import world
from harness.testing.simulator.judge import simulate
from harness.testing.simulator.plan import Action, Plan, Step, draw_plan
from harness.testing.simulator.world import World

STEPS = st.builds(
    Step,
    wait_ms=st.sampled_from((0, 0, 1, 5, 30, 150)),
    action=st.one_of(
        st.sampled_from((Action.SEND, Action.SEND_MANY)),
        st.sampled_from(Action),
    ),
    who=st.integers(0, 63),
    how=st.integers(0, 255),
)

PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32),
    steps=st.lists(STEPS, min_size=1, max_size=60).map(tuple),
    edges=st.integers(1, 3),
    core_links=st.integers(1, 2),
    senders=st.integers(1, 4),
    inboxes=st.integers(1, 2),
    trims=st.booleans(),
    window_bytes=st.sampled_from((4_096, 65_536)),
    timeout_ms=st.sampled_from((100, 300, 2_000)),
    ack_delay_ms=st.sampled_from((50, 300, 1_000)),
)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=120,
    suppress_health_check=list(HealthCheck),
)
@given(plan=PLANS)
def test_whatever_happens_nothing_is_lost_doubled_or_reordered(plan: Plan) -> None:
    finding = simulate(plan)
    assert finding.fine, str(finding)


def test_seeds() -> None:
    """A few of the seeds that `python -m harness.testing.simulator` runs by the thousand."""
    findings = {seed: simulate(draw_plan(seed)) for seed in range(60)}
    assert {seed: str(f) for seed, f in findings.items() if not f.fine} == {}


def test_a_core_that_shows_what_nobody_synced_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process leaves unsynced commits in the page cache, and then the power fails."""
    plans = [draw_plan(seed, (Action.CORE_CRASHES_IN_COMMIT,)) for seed in range(30, 45)]
    assert [str(found) for found in map(simulate, plans) if not found.fine] == []
    monkeypatch.setattr(world, "take_over", lambda disk: disk.recover())
    failed = {check for plan in plans for check in simulate(plan).failed}
    assert failed & {"A1", "A6"}


def test_a_seed_repeats_everything() -> None:
    plan = draw_plan(7)
    first, second = World(plan).run(), World(plan).run()
    assert first.records == second.records
    assert World(draw_plan(8)).run().records != first.records


def test_what_is_sent_again_behind_a_deaf_link_is_rightly_marked() -> None:
    send = Step(wait_ms=0, action=Action.SEND, who=0, how=0)
    zombie = Step(wait_ms=0, action=Action.ZOMBIE, who=1, how=0)
    late = Step(wait_ms=150, action=Action.SEND, who=0, how=0)
    plan = Plan(
        seed=0, steps=(*[send] * 10, late, zombie, late), edges=1, core_links=1, senders=1,
        inboxes=2, trims=False,
    )  # fmt: skip
    finding = simulate(plan)
    assert finding.fine, str(finding)
