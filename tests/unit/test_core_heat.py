"""Rates are measured, and the rule that promotes by them never flaps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.testing.core_script import CoreScript, batch, only
from harness.testing.core_script import settings as core_settings
from reference.core.heat import HOTTEST_MAX, Change, Heat, HeatSettings
from reference.node.settings import CoreNodeSettings, SettingsError, decode_settings
from reference.wire import messages as m

S_NS = 1_000_000_000
STEP_S = 0.1
RULE = HeatSettings(
    hot_writes_per_s=1_000, cool_writes_per_s=100, hold_ms=3_000, bucket_count=8, window_ms=1_000
)


def play(rates: Iterable[float], rule: HeatSettings = RULE) -> list[tuple[float, Change]]:
    """Let "vip" be written to at these rates, a second each; return when the rule changed what."""
    heat = Heat(rule, (), 0)
    counts, epochs, at_s = {"vip": 1}, {"vip": 1}, 0.0
    found: list[tuple[float, Change]] = []
    for rate in rates:
        for _ in range(round(1 / STEP_S)):
            at_s += STEP_S
            heat.wrote("vip", round(rate * STEP_S))
            for change in heat.look(round(at_s * S_NS), lambda name: (counts[name], epochs[name])):
                counts[change.inbox] = change.bucket_count
                epochs[change.inbox] += 1
                found.append((at_s, change))
    return found


def test_a_rate_is_measured_and_forgotten() -> None:
    heat = Heat(HeatSettings(window_ms=1_000), (), 0)
    for step in range(1, 101):
        heat.wrote("vip", 50)
        assert heat.look(step * S_NS // 10, lambda _name: (1, 1)) == []
    assert heat.rate_of("vip") == pytest.approx(500, rel=0.01)
    for step in range(101, 300):
        heat.look(step * S_NS // 10, lambda _name: (1, 1))
    assert heat.measured == 0


def test_of_many_inboxes_the_hottest_are_shown_in_order() -> None:
    heat = Heat(HeatSettings(), (), 0)
    for number in range(1_000):
        heat.wrote(f"inbox-{number}", number)
    heat.look(S_NS, lambda _name: (1, 1))
    shown = heat.hottest()
    assert [hot.inbox for hot in shown] == [f"inbox-{n}" for n in range(999, 999 - HOTTEST_MAX, -1)]


def test_a_burst_is_promoted_and_demoted_once() -> None:
    changes = play([0, 0, 5_000, 5_000, 5_000, 0, 0, 0, 0, 0, 0])
    assert [change for _, change in changes] == [Change("vip", 8), Change("vip", 1)]


def test_between_the_thresholds_nothing_changes() -> None:
    assert play([999] * 30) == []
    assert len(play([2_000] * 5 + [500] * 30)) == 1


def test_a_rule_that_is_off_changes_nothing() -> None:
    assert play([10**6] * 5, HeatSettings()) == []


def test_what_an_administrator_chose_is_left_alone() -> None:
    heat = Heat(RULE, (), 0)
    for step in range(1, 50):
        heat.wrote("vip", 10**6)
        assert heat.look(step * S_NS // 10, lambda _name: (20, 2)) == []


@settings(max_examples=200, deadline=None)
@given(rates=st.lists(st.sampled_from([0, 50, 99, 101, 500, 999, 1_001, 5_000]), max_size=60))
def test_whatever_the_load_does_it_does_not_flap(rates: list[int]) -> None:
    changes = play(rates)
    assert all(later - sooner >= 3 - 1e-6 for (sooner, _), (later, _) in pairwise(changes))
    # Up and down in turn, and each for a reason that was there.
    assert [c.bucket_count for _, c in changes] == [(8, 1)[n % 2] for n in range(len(changes))]
    if max(rates, default=0) < 1_000:
        assert changes == []


def test_a_core_promotes_what_is_hot_and_demotes_it_after_a_restart_too() -> None:
    rule = core_settings(
        hot_writes_per_s=500, cool_writes_per_s=50, hot_hold_ms=500, hot_bucket_count=4,
        hot_window_ms=200,
    )  # fmt: skip
    script = CoreScript(rule)
    edge, n = script.edge(), 0
    script.advance(100)
    for _ in range(40):
        script.batch(edge, batch(n, 50), batch(n // 50, 1, inbox="ann"))
        n += 50
        script.advance(50)
        script.send(edge, m.Heartbeat(1))
    gauges = script.core.gauges()
    assert (gauges["rule_promotions"], gauges["rule_demotions"]) == (1, 0)
    assert gauges["hottest_writes_per_s"] > 500
    admin = script.admin()
    shown = only(script.send(admin, m.Inspect(1, "", -1, -1)), m.InspectOk).hot
    assert [(hot.inbox, hot.epoch, hot.bucket_count) for hot in shown] == [
        ("vip", 1, 4), ("ann", 0, 1),
    ]  # fmt: skip
    epochs = only(script.send(admin, m.Inspect(2, "vip", -1, -1)), m.InspectOk).epochs
    assert 0 < epochs[1].pos_first < n
    script.restart()
    script.advance(1_000)
    assert script.core.gauges()["rule_demotions"] == 1
    admin = script.admin()
    epochs = only(script.send(admin, m.Inspect(3, "vip", -1, -1)), m.InspectOk).epochs
    assert [entry.bucket_count for entry in epochs] == [1, 4, 1]


@pytest.mark.parametrize(
    "core",
    [
        '{"hot_writes_per_s": 100, "cool_writes_per_s": 100}',
        '{"hot_writes_per_s": 100, "hot_bucket_count": 1}',
        '{"hot_writes_per_s": 100, "hot_bucket_count": 2000}',
    ],
)
def test_a_rule_that_cannot_be_is_refused(core: str) -> None:
    with pytest.raises(SettingsError, match=r"core\.(cool|hot)_"):
        decode_settings(f'{{"core": {core}, "database": "x"}}', CoreNodeSettings)
