"""Folding a history into a judgement.

The same fold serves the verdict, `tallystick check` and the live view: the first two give it the
files' records, the last what a tail yields, and asks for the present state from time to time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from harness.checkers import measures
from harness.checkers.check import (
    Check,
    Clue,
    Found,
    Reach,
    Spec,
    add_up,
    all_checks,
    ask,
    broken,
    conclude,
)
from harness.checkers.diagnosis import diagnose
from harness.checkers.evidence import Placed, find_evidence, witness_of
from harness.checkers.facts import Facts
from harness.checkers.index import Index
from harness.checkers.later import Later
from harness.checkers.noisy_neighbour import by_label
from harness.checkers.ranges import PART_ROWS_MAX, Part, Ranges, whole
from harness.checkers.rare import RareStates
from harness.checkers.run_facts import RunFacts
from harness.checkers.totals import Totals
from harness.history.records import Record
from harness.report.result import Check as CheckResult
from harness.report.result import (
    Counts,
    Diagnosis,
    InboxBuckets,
    Latencies,
    LoadLatency,
    Throughput,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything that a history says.

    Attributes:
        checks: One result per check, by id; witnesses without records until `with_evidence`.
        clues: The clues of each of them, in the same order.
        diagnosis: What happened, where a check failed.
        commits: Commits that the system reported; None if it did not.
        kills: Processes killed with effect.
        reached: How often each rare state was reached, by name; at least so often.
    """

    checks: list[CheckResult]
    clues: list[list[Clue]]
    counts: Counts
    diagnosis: Diagnosis | None
    latency_ms: Latencies
    load_latency_ms: list[LoadLatency]
    throughput_per_s: Throughput
    buckets: list[InboxBuckets]
    commits: int | None
    kills: int
    reached: dict[str, int]

    @property
    def needs_evidence(self) -> bool:
        """Whether a check that did not pass has clues."""
        return any(self.clues)


class Fold:
    """Takes records in the order of time and can say at any moment what they amount to.

    Args:
        run: What is known beside the history.
        specs: The checks to make; None: all there are.
        ranges: Where ranges are held; tests let it cut often.
    """

    def __init__(
        self,
        run: RunFacts,
        specs: Iterable[Spec] | None = None,
        ranges: Ranges | None = None,
    ) -> None:
        self.index = Index(ranges)
        self.run = run
        self._checks: list[tuple[Spec, Check]] = [
            (spec, spec.make()) for spec in (all_checks() if specs is None else specs)
        ]
        self._broken: dict[str, Exception] = {}
        self._seers: dict[type[Any], list[tuple[str, Callable[[Any, Index, RunFacts], None]]]] = {}
        for spec, made in self._checks:
            for kind in getattr(made, "sees", ()):
                see = made.see  # type: ignore[attr-defined]  # `sees` says that it is there.
                self._seers.setdefault(kind, []).append((spec.id, see))
        self._rare = RareStates()
        self._rare_seers = self._rare.seers()

    def take(self, record: Record) -> None:
        """Take the next record, unless the index is full: then the history ends here."""
        if self.index.stopped:
            return
        self.index.see(record)
        if (see_rare := self._rare_seers.get(type(record))) is not None:
            see_rare(record)
        for check_id, see in self._seers.get(type(record), ()):
            try:
                see(record, self.index, self.run)
            except Exception as error:
                self._broken.setdefault(check_id, error)

    def judge(self) -> Judgement:
        """Return what the records so far amount to. Costs O(ranges log ranges) each time."""
        results = []
        clues = []
        facts, answers = self._ask()
        for (spec, _), answer in zip(self._checks, answers, strict=True):
            result, found = conclude(spec, answer)
            witnesses = [witness_of(clue) for clue in found]
            results.append(msgspec.structs.replace(result, witnesses=witnesses))
            clues.append(found)
        counts = measures.count(facts, {one.id: one.instances for one in results})
        return Judgement(
            checks=results,
            clues=clues,
            counts=counts,
            diagnosis=diagnose(facts, results, answers),
            latency_ms=measures.latencies(facts),
            load_latency_ms=by_label(facts),
            throughput_per_s=measures.throughput(facts),
            buckets=measures.bucket_loads(facts),
            commits=self.index.gauges.commits,
            kills=measures.kills(facts),
            reached=self._rare.reached(self.index, counts),
        )

    def _ask(self) -> tuple[Facts, list[Found | CheckResult]]:
        """Return the facts of the last part, and what each check found in all of them."""
        index = self.index
        index.settle()
        parts = index.ranges.parts()
        # What had no outcome when the history ended for us may have got one afterwards.
        run = replace(self.run, torn=True) if index.stopped else self.run
        later, totals = Later(), Totals()
        answers: list[Found | CheckResult | None] = [None] * len(self._checks)
        for part in parts:
            is_last = part is parts[-1]
            facts = Facts(index, run, part, later=later, totals=totals, is_last=is_last)
            totals.add(facts)
            for place, (spec, made) in enumerate(self._checks):
                answers[place] = self._of_part(spec, made, facts, answers[place], len(parts))
            if not is_last:
                later.take(facts, hangs=part.hangs)
        loose = max((part.rows for part in parts if part.loose), default=0)
        if len(parts) > 1:
            self._ask_about_all(run, parts, totals, answers)
        told = [answer for answer in answers if answer is not None]
        return facts, [
            self._unless_too_large(spec, answer, loose)
            for (spec, _), answer in zip(self._checks, told, strict=True)
        ]

    def _of_part(
        self,
        spec: Spec,
        made: Check,
        facts: Facts,
        before: Found | CheckResult | None,
        parts: int,
    ) -> Found | CheckResult | None:
        """Return what a check found in this part and those before it."""
        if spec.id in self._broken:
            return broken(spec, self._broken[spec.id])
        waits = (spec.reach is Reach.ONCE and not facts.is_last) or (
            spec.reach is Reach.WHOLE and parts > 1
        )
        if waits or (before is not None and not isinstance(before, Found)):
            return before
        answer = ask(spec, made, facts)
        if isinstance(before, Found) and isinstance(answer, Found):
            return add_up(before, answer)
        return answer

    def _ask_about_all(
        self,
        run: RunFacts,
        parts: Sequence[Part],
        totals: Totals,
        answers: list[Found | CheckResult | None],
    ) -> None:
        """Ask the checks that have to see everything at once, if that has room."""
        everything = whole(parts)
        for place, (spec, made) in enumerate(self._checks):
            if spec.reach is not Reach.WHOLE or spec.id in self._broken:
                continue
            if everything is None:
                rows = sum(part.rows for part in parts)
                why = f"it has to see {rows:,} ranges at once, and {PART_ROWS_MAX:,} have room"
                refused = ask(spec, _Refused(why), Facts(self.index, run))
                answers[place] = refused
                continue
            facts = Facts(self.index, run, everything, totals=totals)
            answers[place] = ask(spec, made, facts)

    def _unless_too_large(
        self, spec: Spec, answer: Found | CheckResult, loose: int
    ) -> Found | CheckResult:
        """Return the answer; nothing found is unknown where the budget did not allow to look."""
        if not isinstance(answer, Found) or answer.instances or answer.not_applicable:
            return answer
        if self.index.full:
            return replace(answer, unknown=f"larger than the checker's budget: {self.index.full}")
        if loose and spec.reach is Reach.PARTS:
            why = f"{loose:,} ranges or more hang together, and {PART_ROWS_MAX:,} have room"
            return replace(answer, unknown=f"larger than the checker's budget: {why}")
        return answer

    def states(self) -> dict[str, str]:
        """Return the present status of each check by id, for a live view."""
        _, answers = self._ask()
        return {
            spec.id: conclude(spec, answer)[0].status.value
            for (spec, _), answer in zip(self._checks, answers, strict=True)
        }


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands in for a check that cannot be asked."""

    why: str

    def finish(self, facts: Facts) -> Found:
        """Say why."""
        return Found(examined=0, unknown=self.why)


def fold(
    records: Iterable[Record],
    run: RunFacts,
    specs: Iterable[Spec] | None = None,
    ranges: Ranges | None = None,
) -> Judgement:
    """Return the judgement of a whole history.

    Raises:
        DamagedHistory: From the reader, if `records` come from one.
    """
    folding = Fold(run, specs, ranges)
    take = folding.take
    for record in records:
        take(record)
    return folding.judge()


def with_evidence(judgement: Judgement, placed: Iterable[Placed]) -> Judgement:
    """Return the judgement with the records of each witness, from a second walk.

    Args:
        judgement: Of the same history.
        placed: Its records with their places, e.g. from `read_folder_placed`.
    """
    witnesses = find_evidence(judgement.clues, placed)
    checks = [
        msgspec.structs.replace(result, witnesses=found)
        for result, found in zip(judgement.checks, witnesses, strict=True)
    ]
    return replace(judgement, checks=checks)
