"""Figures in words: what people read, while JSON stays exact."""

from __future__ import annotations

import msgspec
import pytest

from harness.nearest import did_you_mean
from harness.report import words
from harness.report.result import Limit
from harness.testing import example_results as examples


@pytest.mark.parametrize(
    ("metric", "limit", "measured", "told"),
    [
        ("core_rss_max_bytes", 299_892_736, 63_041_536, "<= 300 MB: 63 MB, met"),
        ("core_rss_max_bytes", 1e10, 2.5e9, "<= 10,000 MB: 2,500 MB, met"),
        ("ack_p99_ms", 500, 682.912345678, "<= 500: 682.912, met"),
        ("ack_p99_ms", 500, None, "<= 500: nothing measured, met"),
    ],
)
def test_a_limit_is_told_in_its_unit(
    metric: str, limit: float, measured: float | None, told: str
) -> None:
    one = Limit(metric=metric, op="<=", limit=limit, measured=measured, met=True)
    assert words.limit(one) == f"{metric} {told}"


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (10_000, "10,000 runs")]
)
def test_one_is_no_plural(number: int, told: str) -> None:
    assert words.counted(number, "run") == told


def test_a_single_fault_and_a_single_restart_are_told_as_one() -> None:
    result = examples.passed()
    fault = msgspec.structs.replace(result.faults[0], effective=True)
    others = [msgspec.structs.replace(fault, kind="other")] * 6
    first, second = words.faults_together([fault, *others])
    assert first.startswith(f"{fault.kind} 1 time (")
    assert second.startswith("other 6 times (")
    process = msgspec.structs.replace(result.processes[0], restarts=1)
    assert words.processes([process])[0].endswith(", 1 restart")


def test_only_what_is_near_is_suggested() -> None:
    known = ["doctor", "verify", "noisy_neighbour"]
    assert did_you_mean("verfy", known) == "; did you mean 'verify'?"
    assert did_you_mean("foo", known) == ""
    assert did_you_mean("nope", known) == ""
    assert did_you_mean("x", []) == ""
