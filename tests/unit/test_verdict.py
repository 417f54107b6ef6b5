"""Merging into a verdict, exit codes, bounds and limits."""

from __future__ import annotations

import itertools
import math

import pytest

from harness.errors import UsageError
from harness.report.result import (
    Check,
    CheckStatus,
    Diagnosis,
    Limit,
    Limits,
    Status,
    Verdict,
)
from harness.run import bound, limits, verdict
from harness.testing import example_results as examples

MET = Limit(metric="ack_p99_ms", op="<=", limit=500.0, measured=3.0, met=True)
MISSED = Limit(metric="delivered_per_s", op=">=", limit=9.0, measured=None, met=False)


def check(check_id: str, status: CheckStatus, name: str = "NAME", reason: str = "") -> Check:
    return Check(id=check_id, name=name, status=status, reason=reason)


@pytest.mark.parametrize(
    ("worst", "statuses"),
    [
        (Status.FAIL, "FAIL ERROR UNKNOWN PASS"),
        (Status.ERROR, "ERROR UNKNOWN PASS"),
        (Status.UNKNOWN, "UNKNOWN PASS"),
        (Status.PASS, "PASS"),
    ],
)
def test_the_worst_wins_in_any_order(worst: Status, statuses: str) -> None:
    for order in itertools.permutations(statuses.split()):
        assert verdict.merge(Status(word) for word in order) is worst
        checks = [check(f"A{i}", CheckStatus(word)) for i, word in enumerate(order)]
        assert verdict.decide(checks).status is worst


@pytest.mark.parametrize(
    ("status", "reached", "code"),
    [
        (Status.PASS, Limits.MET, 0),
        (Status.PASS, Limits.NONE, 0),
        (Status.PASS, Limits.MISSED, 4),
        (Status.FAIL, Limits.MISSED, 1),
        (Status.FAIL, Limits.MET, 1),
        (Status.UNKNOWN, Limits.MISSED, 3),
        (Status.UNKNOWN, Limits.NONE, 3),
        (Status.ERROR, Limits.MET, 70),
        (Status.ERROR, Limits.MISSED, 70),
    ],
)
def test_exit_codes(status: Status, reached: Limits, code: int) -> None:
    assert verdict.exit_code(status, reached) == code


def test_nothing_examined_is_never_a_pass() -> None:
    assert verdict.decide([]).status is Status.UNKNOWN
    only = verdict.decide([check("B6", CheckStatus.NOT_APPLICABLE)])
    assert (only.status, only.reason_code) == (Status.UNKNOWN, "no_applicable_check")
    assert verdict.merge([]) is Status.UNKNOWN
    assert verdict.merge_runs([]).exit_code == 3


def test_limits_stand_beside_the_verdict() -> None:
    good = [check("A1", CheckStatus.PASS)]
    assert verdict.decide(good, [MET]).exit_code == 0
    missed = verdict.decide(good, [MET, MISSED])
    assert (missed.status, missed.limits, missed.exit_code) == (Status.PASS, Limits.MISSED, 4)
    assert "delivered_per_s" in missed.reason
    assert verdict.decide(good).limits is Limits.NONE


def test_a_finding_counts_but_cannot_hide_a_failed_check() -> None:
    stuck = verdict.Finding(status=Status.UNKNOWN, reason_code="stuck", reason="no progress")
    good = check("A1", CheckStatus.PASS)
    assert verdict.decide([good], findings=[stuck]).reason_code == "stuck"
    bad = check("A7", CheckStatus.FAIL, "DUP-LOG")
    found = verdict.decide([good, bad], findings=[stuck])
    assert (found.status, found.reason_code) == (Status.FAIL, "dup_log")


def test_the_most_trustworthy_failure_is_the_reason_and_voids_later_rows() -> None:
    checks = [
        check("A1", CheckStatus.FAIL, "LOST", "3 lost"),
        check("B4", CheckStatus.FAIL, "REALTIME"),
        check("A5", CheckStatus.FAIL, "CORRUPT", "1 altered"),
    ]
    decided = verdict.decide(checks)
    assert decided.reason_code == "corrupt"
    assert decided.reason == "A5 CORRUPT: 1 altered (and 2 more checks)"
    root, others = verdict.failed_in_order(checks)
    assert root is checks[2]
    assert [c.id for c in others] == ["A1", "B4"]
    diagnosis = Diagnosis(text="3 messages vanished.", check="A1", messages=3)
    root, others = verdict.failed_in_order(checks, diagnosis)
    assert root is checks[0]
    assert [c.id for c in others] == ["A5", "B4"]
    told = verdict.decide(checks, diagnosis=diagnosis)
    assert (told.reason_code, told.reason) == ("lost", "3 messages vanished.")
    assert verdict.failed_in_order([]) == (None, [])


@pytest.mark.parametrize("code", [verdict.EXIT_SIGINT, verdict.EXIT_SIGTERM])
def test_an_interrupted_run_never_passes(code: int) -> None:
    cut = verdict.interrupted(examples.passed().verdict, code)
    assert (cut.status, cut.reason_code, cut.exit_code) == (Status.UNKNOWN, "interrupted", code)
    found = verdict.interrupted(examples.failed().verdict, code)
    assert (found.status, found.reason_code, found.exit_code) == (Status.FAIL, "lost", code)
    early = verdict.interrupted(verdict.started(), code)
    assert (early.status, early.reason_code) == (Status.UNKNOWN, "interrupted")


def test_what_stands_in_the_file_at_first_is_no_pass() -> None:
    assert verdict.started().status is Status.ERROR
    assert verdict.started().exit_code == 70


def test_a_suite_is_as_good_as_its_worst_scenario() -> None:
    good, bad = examples.passed().verdict, examples.failed().verdict
    unknown = examples.unknown().verdict
    merged = verdict.merge_runs([("a", good), ("b", unknown), ("c", bad), ("d", bad)])
    assert (merged.status, merged.exit_code) == (Status.FAIL, 1)
    assert merged.reason.startswith("c: 3 acknowledged messages were lost")
    assert verdict.merge_runs([("a", good), ("b", unknown)]).exit_code == 3
    slow = Verdict(
        status=Status.PASS, reason_code="x", reason="y", limits=Limits.MISSED, exit_code=4
    )
    assert verdict.merge_runs([("a", good), ("b", slow)]).exit_code == 4
    told = verdict.merge_runs([("a", good), ("b", slow)]).reason
    assert told == "all 2 runs passed; limits missed in b"
    assert verdict.merge_runs([("a", good)]).reason == "the run passed"


def test_zero_of_n_excludes_exactly_the_rates_that_would_show_in_95_of_100_runs() -> None:
    for n in (1, 20, 517_000, 10**12):
        rate = bound.rate_max_95(n)
        assert rate is not None
        assert math.exp(n * math.log1p(-rate)) == pytest.approx(0.05, rel=1e-9)
        assert rate <= 3 / n
    assert bound.rate_max_95(0) is None
    assert bound.rate_max_95(20) == pytest.approx(0.1391, abs=1e-4)


def test_nines_are_rounded_down() -> None:
    assert [bound.nines_of(rate) for rate in (1.0, 0.5, 0.1, 0.011, 0.0099, 1e-9)] == [
        0, 0, 1, 1, 2, 9,
    ]  # fmt: skip


def test_the_bound_in_words_is_never_stronger_than_the_bound() -> None:
    made = bound.zero_of_n(messages=517_000, commits=4_210, kills=20)
    assert made is not None
    assert bound.in_words(made) == (
        "at 95 % fewer than 1 in 172,579 messages, 1 in 1,405 commits, "
        "14 % of kills (0 of 20) lost, under this workload and these faults"
    )
    assert made.loss_rate_max_95 <= 1 / 172_579
    few = bound.zero_of_n(messages=8_000, commits=3, kills=0)
    assert few is not None
    assert bound.in_words(few).endswith("faults; 0 of 3 commits lost anything (says little)")
    fewest = bound.zero_of_n(messages=1, commits=0, kills=1)
    assert fewest is not None
    assert bound.in_words(fewest) == (
        "0 of 1 messages lost (says little); 0 of 1 kills lost anything (says little)"
    )
    assert bound.zero_of_n(messages=0, commits=5, kills=0) is None


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("ack_p99_ms <= 212.4", 212.4, True),
        ("ack_p99_ms<212.4", 212.4, False),
        ("delivered_per_s >= 17_102", 17_102.0, True),
        ("acknowledged_messages>517000", 517_000.0, False),
        ("core_rss_max_bytes < 300_000_000", 120 << 20, True),
        ("cpu_us_per_message<=4", 1.6e6 / 517_000, True),
    ],
)
def test_limits_compare_what_was_measured(text: str, value: float, met: bool) -> None:
    example = examples.passed()
    measured = limits.measure(
        counts=example.counts,
        latency_ms=example.latency_ms,
        throughput_per_s=example.throughput_per_s,
        processes=example.processes,
        duration_s=example.run.duration_s,
        load_latency_ms=example.load_latency_ms,
    )
    assert set(measured) == set(limits.METRICS)
    (limit,) = limits.compare([limits.parse(text)], measured)
    assert limit.measured == pytest.approx(value)
    assert limit.met is met


def test_what_was_not_measured_is_not_met() -> None:
    (limit,) = limits.compare([limits.parse("ack_p99_ms <= 500")], {})
    assert (limit.measured, limit.met) == (None, False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ack_p99 <= 5", "did you mean 'ack_p99_ms'"),
        ("ack_p99_ms = 5", "metric op number"),
        ("ack_p99_ms <= fast", "metric op number"),
        ("ack_p99_ms <= nan", "metric op number"),
        ("", "metric op number"),
    ],
)
def test_a_limit_that_cannot_be_read_says_what_can(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        limits.parse(text)
