"""Two sets of results side by side: what changed, and whether beyond what repeats spread.

A set holds one or more runs of one or more scenarios and systems. A figure is called changed only
where `harness.report.significance` tells it from chance, and of sides that are alike at most 5 % of
all comparisons call any figure of any scenario changed. With too few repeats nothing is called so.
Verdicts and anomalies are facts and no statistics: one run that lost something counts. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec
import numpy as np

from harness.report import significance, untried
from harness.report.compare_facts import differences
from harness.report.result import Check, CheckStatus, Limits, Result, Status
from harness.report.subjects import match
from harness.run import limits, verdict

COMPARISON_SCHEMA = "tallystick.comparison/3.0"

HEADLINES = ("ack_p99_ms", "delivery_p99_ms", "delivered_per_s", "cpu_us_per_message")
"""What a bare ``--worse-by 10%`` is about."""

METRICS = (
    "acknowledged_per_s", "delivered_per_s", "ack_p50_ms", "ack_p99_ms", "ack_max_ms",
    "delivery_p50_ms", "delivery_p99_ms", "delivery_max_ms", "cpu_us_per_message",
    "core_rss_max_bytes", "edge_rss_max_bytes", "duration_s",
)  # fmt: skip
"""Figures that are compared, in this order."""

ANOMALIES = frozenset({"lost", "vanished", "passed_by", "duplicated", "reordered"})
"""Counts that are summed over the runs of a side: one in ten runs must not vanish in a median."""


_CHECK_RANK = {
    CheckStatus.PASS: 0,
    CheckStatus.NOT_APPLICABLE: 1,
    CheckStatus.UNKNOWN: 2,
    CheckStatus.ERROR: 3,
    CheckStatus.FAIL: 4,
}


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over the runs of one side that measured it."""

    minimum: float
    median: float
    maximum: float
    runs: int


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure on both sides; a side without a measurement is null.

    `change_percent` is that of the medians, null where A's is 0. `p_value` is adjusted for all
    figures of the comparison; null where nothing was tested. `changed` says whether chance is ruled
    out at `false_alarm_rate`; null where there were too few repeats to tell. `worse` says that it
    changed for the worse, or is not measured any more. `allowed_percent` is the limit that was
    given, and `exceeded` says that the figure is worse, and by more than that.
    """

    metric: str
    a: Spread | None
    b: Spread | None
    change_percent: float | None
    p_value: float | None
    changed: bool | None
    worse: bool
    allowed_percent: float | None
    exceeded: bool


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """How one subject's figures were tested.

    `method` is "permutation", or "sign flips" where both sides have the same seeds and enough of
    them; null where nothing was tested, since too few runs can reach `level` (the rate of false
    alarms, shared out evenly to the subjects). `runs_needed` per side would do for a change to be
    seen at all; null where no number would. `one_after_the_other` says that one side had begun all
    its runs before the other began any: then what the machine did meanwhile looks like a change.
    """

    __test__ = False  # pytest would collect it for its name.

    method: str | None
    level: float
    runs_needed: int | None
    one_after_the_other: bool


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """How often each verdict came, e.g. ``{"PASS": 3}``, and whether B's worst is worse."""

    a: dict[str, int]
    b: dict[str, int]
    worse: bool


class CheckChange(msgspec.Struct, frozen=True, kw_only=True):
    """A check whose worst status, or whose instances, differ; "" where a side lacks it."""

    id: str
    name: str
    a: str
    b: str
    instances_a: int
    instances_b: int


class CountChange(msgspec.Struct, frozen=True, kw_only=True):
    """A count of messages: of anomalies the sum over a side's runs, of others their median."""

    name: str
    a: float
    b: float


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One subject on both sides, `scenario` its name.

    `differences` tells what makes them hard to compare. Verdicts are those of all runs; everything
    else is taken from the `whole` ones, which reached their end and were judged.
    """

    scenario: str
    runs_a: int
    runs_b: int
    whole_a: int
    whole_b: int
    differences: list[str]
    verdicts: Verdicts
    checks: list[CheckChange]
    counts: list[CountChange]
    figures: list[Figure]
    test: Test | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything side by side. `exit_code` is 4 where a limit was exceeded, else 0.

    At most `false_alarm_rate` of comparisons of equal sides call any figure changed.

    `exceeded` names those limits; a worse verdict and a missing scenario exceed any.

    `broken_a` and `broken_b` name the runs of a suite that broke before they had a result.
    """

    schema: str = COMPARISON_SCHEMA
    false_alarm_rate: float = significance.FALSE_ALARM_RATE
    a: str
    b: str
    pairs: list[Pair]
    only_a: list[str]
    only_b: list[str]
    broken_a: list[str] = []
    broken_b: list[str] = []
    exceeded: list[str]
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """How much worse B may be, in percent: by metric, and for all headlines (None: no limit)."""

    by_metric: Mapping[str, float]
    headlines: float | None = None

    def of(self, metric: str) -> float | None:
        """Return the limit of a metric."""
        if metric in self.by_metric:
            return self.by_metric[metric]
        return self.headlines if metric in HEADLINES else None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all; then a worse verdict passes it too."""
        return bool(self.by_metric) or self.headlines is not None


def compare(
    a: Sequence[Result],
    b: Sequence[Result],
    allowed: Allowed,
    *,
    names: tuple[str, str] = ("A", "B"),
    broken: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Comparison:
    """Compare two sets of runs; `harness.report.subjects` says which of them belong together.

    Args:
        a: The results of one side.
        b: Those that are held against them.
        allowed: How much worse they may be.
        names: What the sides are called.
        broken: The names of each side's runs that broke before they had a result.
    """
    matched = match(a, b)
    tested = sum(bool(_whole(of_a) and _whole(of_b)) for _, of_a, of_b in matched.pairs)
    pairs = [_pair(name, of_a, of_b, allowed, tested) for name, of_a, of_b in matched.pairs]
    exceeded = [line for pair in pairs for line in _exceeded(pair, allowed)]
    if allowed.any:
        # A run that broke at once leaves no result, and none is no better than a bad one.
        exceeded += [f"{name}: has a result in A and none in B" for name in matched.only_a]
        if len(broken[1]) > len(broken[0]):
            exceeded.append(f"broke before they had a result: {', '.join(broken[1])}")
    return Comparison(
        a=names[0],
        b=names[1],
        pairs=pairs,
        only_a=matched.only_a,
        only_b=matched.only_b,
        broken_a=list(broken[0]),
        broken_b=list(broken[1]),
        exceeded=exceeded,
        exit_code=verdict.EXIT_LIMITS_MISSED if exceeded else verdict.EXIT_PASS,
    )


def _exceeded(pair: Pair, allowed: Allowed) -> Iterable[str]:
    if allowed.any and pair.verdicts.worse:
        yield f"{pair.scenario}: the verdict became worse"
    for figure in pair.figures:
        if figure.exceeded:
            yield (
                f"{pair.scenario}: {figure.metric} {_how(figure)}, "
                f"allowed {figure.allowed_percent:g} %"
            )


def _how(figure: Figure) -> str:
    if figure.b is None:
        return "is not measured any more"
    return "rose from 0" if figure.change_percent is None else f"{figure.change_percent:+.1f} %"


def _pair(
    name: str, a: Sequence[Result], b: Sequence[Result], allowed: Allowed, tested: int
) -> Pair:
    whole_a, whole_b = _whole(a), _whole(b)
    both = bool(whole_a and whole_b)
    test = _plan_test(whole_a, whole_b, tested) if both else None
    return Pair(
        scenario=name,
        runs_a=len(a),
        runs_b=len(b),
        whole_a=len(whole_a),
        whole_b=len(whole_b),
        differences=differences(whole_a or a, whole_b or b, settings=both),
        verdicts=_verdicts(a, b),
        checks=_checks(whole_a, whole_b) if both else [],
        counts=_counts(whole_a, whole_b) if both else [],
        figures=_figures(whole_a, whole_b, allowed, test, tested) if test else [],
        test=test,
    )


def _whole(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.complete and result.checks]


def _verdicts(a: Sequence[Result], b: Sequence[Result]) -> Verdicts:
    def tally(results: Sequence[Result]) -> dict[str, int]:
        words = [_verdict_word(result) for result in results]
        return {word: words.count(word) for word in dict.fromkeys(words)}

    def worst(results: Sequence[Result]) -> int:
        return verdict.rank(verdict.merge(result.verdict.status for result in results))

    return Verdicts(a=tally(a), b=tally(b), worse=worst(b) > worst(a))


def _verdict_word(result: Result) -> str:
    missed = result.verdict.limits is Limits.MISSED
    cut = "" if result.complete else " (cut off)"
    status = result.verdict.status
    left = untried.beside(untried.count_of(result.not_tried))
    told = ", limits missed" if missed and status is Status.PASS else ""
    return f"{status.value}{told}{f', {left}' if left else ''}{cut}"


def _checks(a: Sequence[Result], b: Sequence[Result]) -> list[CheckChange]:
    def worst(results: Sequence[Result]) -> dict[str, tuple[Check, int]]:
        found: dict[str, tuple[Check, int]] = {}
        for check in (check for result in results for check in result.checks):
            known, instances = found.get(check.id, (check, 0))
            worse = _CHECK_RANK[check.status] > _CHECK_RANK[known.status]
            found[check.id] = (check if worse else known, instances + check.instances)
        return found

    of_a, of_b = worst(a), worst(b)
    changes = []
    for check_id in dict.fromkeys([*of_a, *of_b]):
        one, other = of_a.get(check_id), of_b.get(check_id)
        change = CheckChange(
            id=check_id,
            name=(one or other or ("", 0))[0].name,  # type: ignore[union-attr]
            a=one[0].status.value if one else "",
            b=other[0].status.value if other else "",
            instances_a=one[1] if one else 0,
            instances_b=other[1] if other else 0,
        )
        counts = change.a == CheckStatus.FAIL and change.instances_a != change.instances_b
        if change.a != change.b or counts:
            changes.append(change)
    return changes


def _counts(a: Sequence[Result], b: Sequence[Result]) -> list[CountChange]:
    def values(result: Result) -> dict[str, int]:
        one = result.counts
        return {
            "acknowledged": one.sends.ok,
            "refused": one.sends.fail,
            "unknown": one.sends.info,
            "delivered": one.delivered,
            "redelivered": one.redelivered,
            "lost": one.lost.total,
            "vanished": one.vanished,
            "passed_by": one.passed_by,
            "duplicated": one.duplicated,
            "reordered": one.reordered,
            "unresolved": one.unresolved,
            "recovered": one.recovered,
            "reconnects": one.reconnects.sender + one.reconnects.receiver,
        }

    def together(name: str, results: Sequence[dict[str, int]]) -> float:
        column = [one[name] for one in results]
        return sum(column) if name in ANOMALIES else median(column)

    of_a, of_b = [values(result) for result in a], [values(result) for result in b]
    return [
        CountChange(name=name, a=together(name, of_a), b=together(name, of_b)) for name in of_a[0]
    ]


def _plan_test(a: Sequence[Result], b: Sequence[Result], tested: int) -> Test:
    """Choose the test by the seeds and numbers of runs alone, never by what they measured."""
    level = significance.FALSE_ALARM_RATE / tested
    methods = (("sign flips", True),) if _same_seeds(a, b) else ()
    able = (
        name
        for name, paired in (*methods, ("permutation", False))
        if significance.smallest_p(len(a), len(b), paired=paired) <= level
    )
    started_a, started_b = ([result.run.started_at for result in side] for side in (a, b))
    return Test(
        method=next(able, None),
        level=level,
        runs_needed=significance.runs_needed(level),
        one_after_the_other=max(started_a) < min(started_b) or max(started_b) < min(started_a),
    )


def _same_seeds(a: Sequence[Result], b: Sequence[Result]) -> bool:
    seeds_a, seeds_b = ([result.run.seed for result in side] for side in (a, b))
    return len(set(seeds_a)) == len(seeds_a) and sorted(seeds_a) == sorted(seeds_b)


def _figures(
    a: Sequence[Result], b: Sequence[Result], allowed: Allowed, test: Test, tested: int
) -> list[Figure]:
    # In the order of their seeds those belong together that have the same.
    of_a, of_b = (
        [_measured(one) for one in sorted(side, key=lambda one: one.run.seed)] for side in (a, b)
    )
    spreads = {metric: (_spread(metric, of_a), _spread(metric, of_b)) for metric in METRICS}
    metrics = [metric for metric, (before, after) in spreads.items() if before and after]
    p_values: dict[str, float] = {}
    if test.method and metrics:
        tables = (
            np.array([[one.get(metric, np.nan) for metric in metrics] for one in side])
            for side in (of_a, of_b)
        )
        found = significance.p_values(*tables, paired=test.method == "sign flips")
        p_values = {
            metric: min(1.0, p * tested) for metric, p in zip(metrics, found.tolist(), strict=True)
        }
    return [
        _figure(metric, before, after, allowed.of(metric), p_values.get(metric))
        for metric, (before, after) in spreads.items()
        if before or after
    ]


def _measured(result: Result) -> dict[str, float]:
    return limits.measure(
        counts=result.counts,
        latency_ms=result.latency_ms,
        throughput_per_s=result.throughput_per_s,
        processes=result.processes,
        duration_s=result.run.duration_s,
    )


def _spread(metric: str, measured: Sequence[Mapping[str, float]]) -> Spread | None:
    values = [one[metric] for one in measured if metric in one]
    if not values:
        return None
    return Spread(minimum=min(values), median=median(values), maximum=max(values), runs=len(values))


def _figure(
    metric: str, a: Spread | None, b: Spread | None, allowed: float | None, p_value: float | None
) -> Figure:
    if a is None or b is None:
        return Figure(
            metric=metric, a=a, b=b, change_percent=None, p_value=None, changed=None,
            # What was measured before and is no more cannot be said to keep its limit.
            worse=b is None, allowed_percent=allowed, exceeded=b is None and allowed is not None,
        )  # fmt: skip
    delta = b.median - a.median
    change = delta / a.median * 100 if a.median else None
    changed = None if p_value is None else p_value <= significance.FALSE_ALARM_RATE
    worse = bool(changed) and (delta < 0 if metric in limits.MORE_IS_BETTER else delta > 0)
    too_far = change is None or (allowed is not None and abs(change) > allowed)
    return Figure(
        metric=metric,
        a=a,
        b=b,
        change_percent=None if change is None else round(change, 3),
        p_value=p_value,
        changed=changed,
        worse=worse,
        allowed_percent=allowed,
        exceeded=worse and allowed is not None and too_far,
    )
