"""The rate of false alarms over all figures together, and that real changes are found."""

from __future__ import annotations

import numpy as np
import pytest

from harness.report.significance import FALSE_ALARM_RATE, p_values, runs_needed, smallest_p

FIGURES = 12
COMPARISONS = 1_000

ROOM = 0.02
"""Three standard deviations of a rate of 5 % among `COMPARISONS`."""


def side(random: np.random.Generator, runs: int, kind: str) -> np.ndarray:
    """Return runs with one common cause for all figures, as one disk slows all latencies."""
    common = random.standard_normal((runs, 1))
    own = random.standard_normal((runs, FIGURES))
    table = 100 * np.exp(0.4 * common + 0.2 * own)
    match kind:
        case "independent":
            return np.exp(own)
        case "heavy tails":
            return np.exp(common) * (1 + random.pareto(1.1, (runs, FIGURES)))
        case "ties and zeros":
            return np.floor(table / 100)
        case "constant but one":
            table[:, 1:] = 7.0
        case "holes":
            table[random.random(table.shape) < 0.2] = np.nan
            table[0] = 100.0
    return table


KINDS = ("correlated", "independent", "heavy tails", "ties and zeros", "constant but one", "holes")


@pytest.mark.parametrize("kind", KINDS)
def test_equal_sides_are_called_unequal_at_the_stated_rate_at_most(kind: str) -> None:
    random = np.random.default_rng(12)
    calls = sum(
        p_values(side(random, 5, kind), side(random, 5, kind), paired=False).min()
        <= FALSE_ALARM_RATE
        for _ in range(COMPARISONS)
    )
    assert calls / COMPARISONS <= FALSE_ALARM_RATE + ROOM


@pytest.mark.parametrize("paired", [True, False])
def test_a_drift_through_both_sides_in_turn_raises_no_alarm(paired: bool) -> None:
    random = np.random.default_rng(12)
    drift = np.exp(np.linspace(0, 1, 7))[:, None]
    calls = sum(
        p_values(
            drift * side(random, 7, "correlated"),
            drift * side(random, 7, "correlated"),
            paired=paired,
        ).min()
        <= FALSE_ALARM_RATE
        for _ in range(300)
    )
    assert calls / 300 <= FALSE_ALARM_RATE + 2 * ROOM


@pytest.mark.parametrize(("runs", "paired"), [(4, False), (6, True), (10, False)])
def test_a_change_of_one_figure_is_found_and_no_other_is_called(runs: int, paired: bool) -> None:
    random = np.random.default_rng(12)
    noise = np.exp(0.02 * random.standard_normal((2, runs, FIGURES)))
    noise[1, :, 3] *= 1.5
    found = p_values(noise[0], noise[1], paired=paired)
    assert (found <= FALSE_ALARM_RATE).nonzero()[0].tolist() == [3]


def test_more_runs_find_a_change_within_the_noise() -> None:
    random = np.random.default_rng(12)

    def found(runs: int) -> int:
        changed = np.array([1.0, *[1.25] * (FIGURES - 1)])
        return sum(
            p_values(
                100 * np.exp(0.1 * random.standard_normal((runs, FIGURES))),
                changed * 100 * np.exp(0.1 * random.standard_normal((runs, FIGURES))),
                paired=False,
            )[5]
            <= FALSE_ALARM_RATE
            for _ in range(30)
        )

    assert found(4) < found(8)
    assert found(8) >= 20


def test_of_too_few_runs_no_p_is_small_enough() -> None:
    assert smallest_p(3, 3, paired=False) == pytest.approx(2 / 20)
    assert smallest_p(4, 4, paired=False) == pytest.approx(2 / 70)
    assert smallest_p(5, 5, paired=True) == pytest.approx(2 / 32)
    assert smallest_p(1, 1, paired=False) == 1
    assert [runs_needed(0.05 / subjects) for subjects in (1, 2, 16, 1_000_000)] == [4, 5, 6, None]
    sides = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert p_values(sides, 100 * sides, paired=False)[0] == smallest_p(4, 4, paired=False)


def test_the_same_runs_on_both_sides_never_differ() -> None:
    table = side(np.random.default_rng(12), 8, "correlated")
    for paired in (True, False):
        assert p_values(table, table, paired=paired).min() == 1
