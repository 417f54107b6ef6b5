"""E1: are the loads of the buckets compatible with a fair hash?

Pearson's chi-square over the buckets of each (inbox, epoch). It is a measurement: only a p-value so
small that chance is out of the question is an error.
"""

from __future__ import annotations

import math

from harness.checkers.check import Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.checkers.stored import why_not_asked, why_unknown
from harness.systems.promises import Promise

P_MIN = 1e-9
"""A smaller p-value is an error."""

EXPECTED_MIN = 10.0
"""Messages that a bucket must expect for the statistic to follow its distribution."""

_ITERATIONS_MAX = 100_000
_PRECISION = 1e-15


@check(
    "E1",
    "IMBALANCE",
    "bucket loads that no fair hash gives",
    needs=Promise.BUCKETS,
    reach=Reach.ONCE,
)
def imbalance(facts: Facts) -> Found:
    """Test every epoch with two buckets or more and enough messages. Instances are epochs."""
    examined = instances = 0
    found = []
    least = (1.0, "")
    for inbox, epochs in facts.totals.distinct_loads.items():
        for epoch, load in sorted(epochs.items()):
            loads, count = load.loads(), load.count
            expected = sum(loads) / count
            if count < 2 or expected < EXPECTED_MIN:
                continue
            examined += 1
            statistic = sum((load - expected) ** 2 for load in loads) / expected
            p = chi_square_above(statistic, count - 1)
            told = (
                f"{inbox}, epoch {epoch}: {sum(loads):,} messages in {count} buckets, "
                f"{min(loads):,} to {max(loads):,} each, p = {p:.2g}"
            )
            least = min(least, (p, told))
            if p < P_MIN:
                instances += 1
                found.append(Clue(summary=told, inbox=inbox))
    few = f"no epoch has two buckets that expect {EXPECTED_MIN:g} messages each"
    trims = facts.run.trims
    why = why_unknown(facts.index, trims=trims)
    empty = why_not_asked(facts.index, trims=trims)
    return Found(
        examined=examined,
        instances=instances,
        clues=found,
        unknown=why,
        not_applicable=empty or ("" if examined or why else few),
        note=least[1] and f"least likely {least[1]}",
    )


def chi_square_above(statistic: float, degrees: int) -> float:
    """Return the probability that a chi-square of `degrees` exceeds `statistic`.

    The regularised upper incomplete gamma function Q(degrees / 2, statistic / 2), by its series
    below and its continued fraction above the middle (Abramowitz and Stegun 6.5.29, 6.5.31).
    """
    a, x = degrees / 2.0, statistic / 2.0
    if x <= 0.0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        return max(0.0, 1.0 - scale * _series(a, x))
    return min(1.0, scale * _fraction(a, x))


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    for step in range(1, _ITERATIONS_MAX):
        term *= x / (a + step)
        total += term
        if term < total * _PRECISION:
            return total
    raise ArithmeticError(f"the series for {a}, {x} does not converge")


def _fraction(a: float, x: float) -> float:
    """Evaluate 1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...))) from its front."""
    before, now = 0.0, 1.0
    below_before, below = 1.0, x + 1.0 - a
    value = now / below
    for step in range(1, _ITERATIONS_MAX):
        factor = step * (a - step)
        partial = x + 2.0 * step + 1.0 - a
        before, now = now, partial * now + factor * before
        below_before, below = below, partial * below + factor * below_before
        # Both grow without bound while their quotient settles.
        before, now, below_before = before / below, now / below, below_before / below
        below = 1.0
        if abs(now - value) <= abs(now) * _PRECISION:
            return now
        value = now
    raise ArithmeticError(f"the fraction for {a}, {x} does not converge")
