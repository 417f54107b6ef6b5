"""Whether runs of two sides differ by more than chance: permutation tests over many figures.

The figures of a run hang together (a slow disk moves all latencies), so each test takes the whole
run: it deals the runs out to the two sides anew, in every way there is, and asks how often the
*largest* difference among all figures is as large as the one that was seen (Westfall and Young's
single-step maxT). That holds the rate of false alarms over all figures together, whatever their
distributions and however they depend on each other, and needs no more runs for more figures.

Guaranteed: where the sides are alike, some p-value is at most `level` in at most `level` of all
comparisons. Assumed: the runs of both sides are exchangeable, that is, nothing but chance and what
is compared told them apart. Sides that ran one after the other on a machine that changed in between
are not. With pairs only the two runs of each pair need be exchangeable. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM_RATE = 0.05
"""At most so many comparisons of equal sides call any figure changed."""

EXACT_MAX = 20_000
"""Up to so many ways to deal the runs out are all tried; of more, `DRAWN` are drawn."""

DRAWN = 9_999
"""Ways that are drawn, with a fixed seed: the same results always give the same p-values."""

_CELLS_MAX = 2_000_000
"""Most ways times runs in memory at once."""

_TOLERANCE = 1e-9
"""Differences that are equal but for rounding count as equal, which can only raise a p-value."""

_RUNS_SEARCHED = 64
"""More runs than any level above 1e-18 needs."""

Table: TypeAlias = NDArray[np.float64]
"""A row for each run, a column for each figure; NaN where a run did not measure it."""


def p_values(a: Table, b: Table, *, paired: bool) -> NDArray[np.float64]:
    """Return a p-value for each figure, two-sided, adjusted for all figures of the table.

    Figures are compared as logarithms, so that factors count and a single long run weighs less.

    Args:
        a: The runs of one side.
        b: Those of the other.
        paired: Row i of both sides belongs together; then only pairs are turned round.
    """
    table = _logarithms(np.vstack((a, b)))
    if paired:
        rows = np.nan_to_num(table[len(a) :] - table[: len(a)])
        ways, count = _sign_flips(len(rows)), 2 ** len(rows)
    else:
        rows = np.nan_to_num(table - np.nanmean(table, axis=0))
        ways, count = _deals(len(a), len(b)), comb(len(table), len(a))
    norms = np.sqrt((rows**2).sum(axis=0))
    # Of a figure that never changed, rounding is all that there is.
    rows = np.where(norms > _TOLERANCE, rows / np.where(norms > 0, norms, 1.0), 0.0)
    seen = np.abs(rows.sum(axis=0) if paired else rows[len(a) :].sum(axis=0))
    as_large, tried = np.zeros(len(seen)), 0
    for block in ways:
        largest = np.abs(block @ rows).max(axis=1, initial=0.0)
        as_large += (largest[:, None] >= seen - _TOLERANCE).sum(axis=0)
        tried += len(block)
    drawn = count > EXACT_MAX
    return np.asarray((as_large + drawn) / (tried + drawn))


def smallest_p(runs_a: int, runs_b: int, *, paired: bool) -> float:
    """Return the smallest p-value that so many runs can reach at all."""
    count = 2**runs_a if paired else comb(runs_a + runs_b, runs_a)
    if count > EXACT_MAX:
        return 1 / (DRAWN + 1)
    # The mirror image of a way is as extreme, and is among them where the sides are equally long.
    return min(1.0, (2 if paired or runs_a == runs_b else 1) / count)


def runs_needed(level: float) -> int | None:
    """Return the fewest runs per side that can reach a level unpaired; None if none can."""
    enough = (n for n in range(2, _RUNS_SEARCHED) if smallest_p(n, n, paired=False) <= level)
    return next(enough, None)


def _logarithms(table: Table) -> Table:
    """Return logarithms; what is 0 counts as half of the smallest that is not."""
    positive = np.where(table > 0, table, np.inf)
    least = positive.min(axis=0, initial=np.inf)
    floor = np.where(np.isfinite(least), least / 2, 1.0)
    return np.log(np.fmax(table, floor), where=~np.isnan(table), out=np.full(table.shape, np.nan))


def _deals(runs_a: int, runs_b: int) -> Iterator[Table]:
    """Yield blocks of ways to say which runs are B's: a row each, 1 for B and 0 for A."""
    runs = runs_a + runs_b
    size = max(1, _CELLS_MAX // runs)
    if comb(runs, runs_b) <= EXACT_MAX:
        chosen = combinations(range(runs), runs_b)
        while block := list(islice(chosen, size)):
            ways = np.zeros((len(block), runs))
            np.put_along_axis(ways, np.array(block), 1.0, axis=1)
            yield ways
        return
    random = np.random.default_rng(0)
    for start in range(0, DRAWN, size):
        order = random.random((min(size, DRAWN - start), runs)).argsort(axis=1)
        yield (order < runs_b).astype(np.float64)


def _sign_flips(pairs: int) -> Iterator[Table]:
    """Yield blocks of ways to turn pairs round: a row each, 1 for as it was and -1 for turned."""
    size = max(1, _CELLS_MAX // pairs)
    if 2**pairs <= EXACT_MAX:
        numbers = np.arange(2**pairs)[:, None]
        yield np.where((numbers >> np.arange(pairs)) & 1, -1.0, 1.0)
        return
    random = np.random.default_rng(0)
    for start in range(0, DRAWN, size):
        turned = random.random((min(size, DRAWN - start), pairs)) < 0.5
        yield np.where(turned, -1.0, 1.0)
