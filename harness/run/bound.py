"""What zero losses of n support: an upper bound on the rate, and never more.

With no loss in n independent trials, every rate p with (1 - p)^n < 0.05 is excluded at 95 %, so
p < 1 - 0.05^(1/n), which is about 3/n (the "rule of three", Hanley and Lippman-Hand, JAMA 1983).
Losses are not independent: they come by batch and by crash. So the bound is given per message, per
commit and per kill, and holds under this workload and these faults only.
"""

from __future__ import annotations

import math

from harness.report.result import Bound

CONFIDENCE = 0.95
FORMULA = "1 - 0.05^(1/n), about 3/n"
UNDER = "under this workload and these faults"

FEW_RATE_MIN = 0.1
"""A bound above it is told in percent."""

LITTLE_RATE_MIN = 0.25
"""A bound above it, of fewer than 11 trials, says so little that no share is told."""


def rate_max_95(trials: int) -> float | None:
    """Return the largest rate that zero of `trials` leaves possible at 95 % (None of none)."""
    if trials <= 0:
        return None
    # expm1 keeps the digits that 1 - 0.05**(1/n) would lose for large n.
    return -math.expm1(math.log(1.0 - CONFIDENCE) / trials)


def nines_of(rate: float) -> int:
    """Return how many nines a loss rate below `rate` is: 0.0005 is three (99.9 %)."""
    return max(0, math.floor(-math.log10(rate))) if 0.0 < rate <= 1.0 else 0


def zero_of_n(*, messages: int, commits: int, kills: int) -> Bound | None:
    """Return the bound for a run that lost nothing; None where nothing was acknowledged.

    Args:
        messages: Acknowledged messages, all of them delivered.
        commits: Durable commits that held them; 0 if the system does not say.
        kills: Confirmed kills of a node under load.
    """
    rate = rate_max_95(messages)
    if rate is None:
        return None
    return Bound(
        messages=messages,
        loss_rate_max_95=rate,
        nines=nines_of(rate),
        commits=commits,
        commit_loss_rate_max_95=rate_max_95(commits),
        kills=kills,
        kill_loss_rate_max_95=rate_max_95(kills),
        under=UNDER,
        formula=FORMULA,
    )


def in_words(bound: Bound) -> str:
    """Return the bound as one sentence for people; what is rounded is rounded to be weaker.

    Of few trials no share is told: "at most 95 % of kills" reads as if most had lost something.
    """
    trials = [
        ("message", bound.messages, bound.loss_rate_max_95),
        ("commit", bound.commits, bound.commit_loss_rate_max_95),
        ("kill", bound.kills, bound.kill_loss_rate_max_95),
    ]
    known = [(noun, count, rate) for noun, count, rate in trials if rate is not None]
    parts = [
        f"1 in {math.floor(1 / rate):,} {noun}s"
        if rate <= FEW_RATE_MIN
        else f"{math.ceil(rate * 100)} % of {noun}s (0 of {count:,})"
        for noun, count, rate in known
        if rate <= LITTLE_RATE_MIN
    ]
    few = [
        f"0 of {count:,} {noun}s {'lost' if noun == 'message' else 'lost anything'} (says little)"
        for noun, count, rate in known
        if rate > LITTLE_RATE_MIN
    ]
    told = [f"at 95 % fewer than {', '.join(parts)} lost, {bound.under}"] if parts else []
    return "; ".join([*told, *few])
