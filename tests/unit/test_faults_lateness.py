"""How often is measured that something comes late, and what counts then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.faults.lateness import (
    ENOUGH_MS,
    PROBES,
    PROBES_BEFORE_MAX,
    Measure,
    is_late,
    quickest_after_ms,
    quickest_before_ms,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def scripted(*took_ms: float | None) -> tuple[Measure, list[float | None]]:
    """Return a measurement with these results and what is left of them; the last one repeats."""
    left = list(took_ms)

    async def measure() -> float | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return measure, left


async def test_what_is_late_before_a_fault_is_measured_more_often() -> None:
    measure, left = scripted(*[1.0] * PROBES, 99.0)
    assert await quickest_before_ms(measure, 10) == 1
    assert left == [99.0]
    measure, left = scripted(*[9.0] * (PROBES_BEFORE_MAX - 1), 8.0, 1.0)
    assert await quickest_before_ms(measure, 10) == 8
    assert left == [1.0]


@pytest.mark.parametrize(("took_ms", "quickest_ms"), [((None, 1.0), None), ((5.0, None), 5.0)])
async def test_before_a_fault_a_probe_that_is_lost_is_the_last(
    took_ms: Sequence[float | None], quickest_ms: float | None
) -> None:
    measure, _ = scripted(*took_ms)
    assert await quickest_before_ms(measure, 10) == quickest_ms


@pytest.mark.parametrize(
    ("took_ms", "most_ms", "quickest_ms"),
    [
        ((300.0, 300.0, 0.5), 100, 0.5),
        ((2_000.0, 300.0, 0.5), 100, 0.5),
        ((300.0, None), 100, -1),
        ((None,), 100, -1),
        # As much as can be seen of what was added.
        ((2_000.0, 0.5), 5_000, 2_000.0),
        ((900.0, 2_000.0, 0.5), 5_000, 900.0),
    ],
)
async def test_under_a_fault_the_quickest_counts(
    took_ms: Sequence[float | None], most_ms: float, quickest_ms: float
) -> None:
    measure, _ = scripted(*took_ms)
    assert await quickest_after_ms(measure, most_ms) == quickest_ms


def test_late_is_nearly_what_was_added_or_enough() -> None:
    assert is_late(3, 83, 100)
    assert not is_late(3, 82, 100)
    assert is_late(3, 3 + ENOUGH_MS, 20_000)
    assert not is_late(3, 2 + ENOUGH_MS, 20_000)
    assert not is_late(-1, 99, 10)
    assert not is_late(3, -1, 10)
