"""The checkers agree with a brute-force judge on small random histories.

`python -m harness.testing.oracle_campaign` does the same by the hundred thousand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.checkers import real_time
from harness.checkers.check import Found, Spec, all_checks
from harness.checkers.facts import Facts
from harness.checkers.fold import fold
from harness.history.records import Closed, Delivered, Opened, StoredEnd
from harness.systems.promises import Promise
from harness.testing.oracle_campaign import (
    COMPARED,
    NO_ALARM,
    PRESENCE_BOUND_NS,
    Tally,
    campaign,
    compared_checks,
    instances,
    run_facts,
)
from harness.testing.sound_histories import SoundSystem

HISTORIES = 1_000
ORDERS = 500


def test_the_checkers_agree_with_the_oracle_whole_and_in_parts() -> None:
    tally = campaign(range(HISTORIES))
    assert tally.disagreements == []
    # Otherwise the agreement would be worth little.
    rare = {check_id: tally.found[check_id] for check_id in COMPARED if tally.found[check_id] < 10}
    assert set(rare) <= {"D7", "D9"}
    assert all(count >= 3 for count in rare.values()), rare
    assert tally.histories - tally.anomalous > HISTORIES // 10
    assert tally.in_parts > HISTORIES // 20
    assert tally.searched > HISTORIES // 4


def test_the_real_time_checks_agree_with_an_exhaustive_search() -> None:
    tally = campaign(range(ORDERS), orders=True)
    assert tally.disagreements == []
    assert ORDERS // 10 < tally.not_linearizable < ORDERS


@pytest.fixture
def blind_b4(monkeypatch) -> None:
    """B4 overlooks everything: both of its forms say that nothing is wrong."""

    def nothing(pieces):
        return pieces.lines.pos * 0, pieces.lines.pos * 0 - 1

    monkeypatch.setattr(real_time, "placed_in_the_past", nothing)
    monkeypatch.setattr(real_time, "is_linearizable", lambda _pieces: True)


@pytest.mark.usefixtures("blind_b4")
def test_the_search_finds_a_real_time_check_that_is_blind() -> None:
    assert campaign(range(60), orders=True).disagreements


def test_the_oracle_finds_a_check_that_is_blind(monkeypatch) -> None:
    def blind(spec: Spec) -> Spec:
        return replace(spec, make=_Blind) if spec.id == "A7" else spec

    specs = [blind(spec) for spec in all_checks() if spec.id in COMPARED]
    monkeypatch.setattr("harness.testing.oracle_campaign.compared_checks", lambda: specs)
    tally: Tally = campaign(range(20))
    assert any("A7" in told for told in tally.disagreements)


class _Blind:
    def finish(self, facts: Facts):
        return Found(examined=len(facts.log.key))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), trims=st.booleans())
@example(seed=334937, trims=True)  # An acknowledgement that nobody answered took effect late.
def test_a_sound_history_raises_no_alarm(seed: int, trims: bool) -> None:
    records = SoundSystem(seed, trims=trims).write()
    run = replace(run_facts(frozenset(Promise), trims=trims), presence_bound_ns=PRESENCE_BOUND_NS)
    found = instances(fold(records, run, compared_checks()).checks)
    assert {check_id for check_id, count in found.items() if count} <= NO_ALARM


def test_sound_histories_have_every_shape_that_they_are_for() -> None:
    shapes: Counter[str] = Counter()
    for seed in range(60):
        records = SoundSystem(seed, trims=seed % 2 == 0).write()
        kinds = Counter(type(one).__name__ for one in records)
        shapes["promotions"] += kinds["ResizeCompleted"] > 1
        shapes["crashes"] += kinds["FaultMarked"] > 3
        shapes["inspections"] += kinds["StoredEnd"] > 2
        shapes["marks"] += any(isinstance(one, Delivered) and one.redelivered for one in records)
        shapes["devices"] += len({one.reader for one in records if isinstance(one, Opened)}) > 1
        shapes["superseded"] += any(
            isinstance(one, Closed) and one.cause == "superseded" for one in records
        )
        shapes["trimmed"] += any(
            isinstance(one, StoredEnd) and one.pos_first > 0 for one in records
        )
    assert all(
        shapes[shape] > 5
        for shape in (
            "promotions",
            "crashes",
            "inspections",
            "marks",
            "devices",
            "superseded",
            "trimmed",
        )
    ), shapes
