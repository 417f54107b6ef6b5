"""Folding a history into a judgement.

The same fold serves the verdict, `tallystick check` and the live view: the first two give it the
files' records, the last what a tail yields, and asks for the present state from time to time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from harness.checkers import measures
from harness.checkers.check import Check, Clue, Spec, all_checks, broken, conclude
from harness.checkers.evidence import Placed, find_evidence, witness_of
from harness.checkers.facts import Facts, RunFacts
from harness.checkers.index import Index
from harness.checkers.noisy_neighbour import by_label
from harness.history.records import Record
from harness.report.result import Check as CheckResult
from harness.report.result import (
    CheckStatus,
    Counts,
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
        commits: Commits that the system reported; None if it did not.
        kills: Processes killed with effect.
    """

    checks: list[CheckResult]
    clues: list[list[Clue]]
    counts: Counts
    latency_ms: Latencies
    load_latency_ms: list[LoadLatency]
    throughput_per_s: Throughput
    buckets: list[InboxBuckets]
    commits: int | None
    kills: int

    @property
    def needs_evidence(self) -> bool:
        """Whether a check that did not pass has clues."""
        return any(self.clues)


class Fold:
    """Takes records in the order of time and can say at any moment what they amount to.

    Args:
        run: What is known beside the history.
        specs: The checks to make; None: all there are.
    """

    def __init__(self, run: RunFacts, specs: Iterable[Spec] | None = None) -> None:
        self.index = Index()
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

    def take(self, record: Record) -> None:
        """Take the next record."""
        self.index.see(record)
        for check_id, see in self._seers.get(type(record), ()):
            try:
                see(record, self.index, self.run)
            except Exception as error:
                self._broken.setdefault(check_id, error)

    def judge(self) -> Judgement:
        """Return what the records so far amount to. Costs O(ranges log ranges) each time."""
        facts = Facts(self.index, self.run)
        results = []
        clues = []
        for spec, made in self._checks:
            if spec.id in self._broken:
                result, found = broken(spec, self._broken[spec.id]), list[Clue]()
            else:
                result, found = conclude(spec, made, facts)
            if self.index.full and result.status is CheckStatus.PASS:
                result = msgspec.structs.replace(
                    result,
                    status=CheckStatus.UNKNOWN,
                    reason="the history is larger than the index may grow",
                )
            witnesses = [witness_of(clue) for clue in found]
            results.append(msgspec.structs.replace(result, witnesses=witnesses))
            clues.append(found)
        return Judgement(
            checks=results,
            clues=clues,
            counts=measures.count(facts),
            latency_ms=measures.latencies(facts),
            load_latency_ms=by_label(facts),
            throughput_per_s=measures.throughput(facts),
            buckets=measures.bucket_loads(facts),
            commits=self.index.commits,
            kills=measures.kills(facts),
        )

    def states(self) -> dict[str, str]:
        """Return the present status of each check by id, for a live view."""
        facts = Facts(self.index, self.run)
        return {spec.id: conclude(spec, made, facts)[0].status.value for spec, made in self._checks}


def fold(
    records: Iterable[Record], run: RunFacts, specs: Iterable[Spec] | None = None
) -> Judgement:
    """Return the judgement of a whole history.

    Raises:
        DamagedHistory: From the reader, if `records` come from one.
    """
    folding = Fold(run, specs)
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
