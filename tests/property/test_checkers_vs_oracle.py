"""The checkers agree with a brute-force judge on small random histories.

`python -m harness.testing.oracle_campaign` does the same by the hundred thousand.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.checkers import real_time
from harness.checkers.check import Found, Spec, all_checks
from harness.checkers.facts import Facts
from harness.testing.oracle_campaign import COMPARED, Tally, campaign

HISTORIES = 1_000
ORDERS = 500


def test_the_checkers_agree_with_the_oracle_whole_and_in_parts() -> None:
    tally = campaign(range(HISTORIES))
    assert tally.disagreements == []
    # Otherwise the agreement would be worth little.
    assert all(tally.found[check_id] >= 10 for check_id in COMPARED)
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
