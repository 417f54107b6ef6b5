"""From what a run left behind to its result: fold the history, compare limits, decide.

Everything that a verdict rests on is read back from the run folder, so the same function serves the
end of a run and `tallystick check`. Pure but for reading those files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from harness.checkers.fold import Judgement, fold, with_evidence
from harness.checkers.run_facts import RunFacts
from harness.errors import DamagedHistory, UsageError
from harness.history.audit import Audit
from harness.history.index import SEGMENT_GLOB, HistoryIndex, read_index
from harness.history.reader import read_cut_off, read_folder, read_folder_placed
from harness.load.payloads import Payloads
from harness.report.result import (
    Bound,
    CheckStatus,
    Counts,
    Limits,
    Process,
    Result,
    Status,
    Trouble,
)
from harness.run import limits, outage
from harness.run.aftermath import Aftermath
from harness.run.bound import zero_of_n
from harness.run.brief import SCHEDULE_NAME, Brief, read_brief
from harness.run.verdict import Finding, decide
from harness.scenario.scenario import Requires
from harness.systems.promises import Promise

HISTORY_FOLDER = "history"

CLAIM_UNCHECKED = "claim_unchecked"
"""The finding that a check on which the claim rests had nothing to judge."""

RECORDS_LOST = "records_lost"
"""The finding that a segment is not what the books of its recorder say."""

RECOMPUTED_CODES = frozenset({CLAIM_UNCHECKED, RECORDS_LOST})
"""Findings that follow from the history, and are made again with it."""

_DRAIN_CODES = frozenset({"stuck", "drain_slow"}) | outage.CODES
"""Findings that say that the drain did not reach its end, so that absence proves nothing."""


def judge(run_dir: Path, ended: Result, aftermath: Aftermath) -> Result:
    """Return the result of a run from its folder; `complete` stays as it is in `ended`.

    Args:
        run_dir: Holds the brief and a finished history.
        ended: Names the run, the system and the machine.
        aftermath: What no history can hold.

    Raises:
        DamagedHistory: A file is not what was written; names it.
    """
    brief = read_brief(run_dir)
    history = run_dir / HISTORY_FOLDER
    index = read_index(history)
    if (of := index.run) not in ("", brief.run_id):
        raise DamagedHistory(f"{history}: of run {of!r}; {SCHEDULE_NAME} is of {brief.run_id!r}")
    run = replace(facts_of(brief, aftermath, torn=False), killed=_killed(index))
    audit = Audit(index)
    judgement = fold(read_folder(history, audit.see), run)
    if judgement.needs_evidence:
        judgement = with_evidence(judgement, read_folder_placed(history))
    return _result(ended, brief, judgement, aftermath, audit.complaints())


def _killed(index: HistoryIndex) -> frozenset[int]:
    """Return the load processes that were killed; a process and its segment have one number."""
    return frozenset(
        int(Path(one.file).stem)
        for one in index.segments
        # What else an altered index names is found when the files are read.
        if one.closed == "killed" and fnmatchcase(one.file, SEGMENT_GLOB)
    )


def judge_cut_off(run_dir: Path, begun: Result, aftermath: Aftermath) -> Result:
    """Return what can be said of a run that did not reach its end.

    Only that part of the history is folded in which every recorder has written all it saw, so an
    anomaly found in it stands; that nothing was found says little, and never makes a pass.

    Raises:
        DamagedHistory: A file is not what was written; names it.
    """
    brief = read_brief(run_dir)
    records = read_cut_off(run_dir / HISTORY_FOLDER)
    judgement = fold(records, facts_of(brief, aftermath, torn=True))
    result = _result(begun, brief, judgement, aftermath)
    return msgspec.structs.replace(result, bound=None, limits=[])


def _result(
    ended: Result,
    brief: Brief,
    judgement: Judgement,
    aftermath: Aftermath,
    missing: Sequence[str] = (),
) -> Result:
    counts = judgement.counts
    findings = [*_lost_records(missing), *_findings(brief, judgement, aftermath)]
    processes = [_per_message(process, counts.delivered) for process in aftermath.processes]
    compared = limits.compare(
        [limits.parse(text) for text in brief.limits],
        limits.measure(
            counts=counts,
            latency_ms=judgement.latency_ms,
            load_latency_ms=judgement.load_latency_ms,
            throughput_per_s=judgement.throughput_per_s,
            processes=processes,
            duration_s=ended.run.duration_s,
        ),
    )
    verdict = decide(
        judgement.checks,
        compared,
        findings,
        diagnosis=judgement.diagnosis,
        not_tried=brief.not_tried,
    )
    if _nothing_happened(counts) and verdict.status is Status.ERROR:
        # It broke before anything was sent: there was nothing that a limit could be about.
        compared = []
        verdict = msgspec.structs.replace(verdict, limits=Limits.NONE)
    return msgspec.structs.replace(
        ended,
        verdict=verdict,
        diagnosis=judgement.diagnosis if verdict.status is Status.FAIL else None,
        senders=dict(aftermath.senders),
        counts=counts,
        bound=_bound(judgement, aftermath) if verdict.status is Status.PASS else None,
        latency_ms=judgement.latency_ms,
        load_latency_ms=judgement.load_latency_ms,
        throughput_per_s=judgement.throughput_per_s,
        checks=judgement.checks,
        findings=[
            Trouble(status=one.status, reason_code=one.reason_code, reason=one.reason)
            for one in findings
        ],
        limits=compared,
        faults=list(aftermath.faults),
        processes=processes,
        buckets=judgement.buckets,
        reached=judgement.reached,
        coverage=list(aftermath.coverage),
        not_tried=list(brief.not_tried),
    )


def _lost_records(missing: Sequence[str]) -> list[Finding]:
    """Return that records are missing: then no anomaly of this history convicts anybody."""
    if not missing:
        return []
    more = f" (and {len(missing) - 1} more like it)" if len(missing) > 1 else ""
    reason = (
        f"records were lost while they were recorded, or changed since, so nothing is proven:"
        f" {missing[0]}{more}"
    )
    found = Finding(status=Status.ERROR, reason_code=RECORDS_LOST, reason=reason, voids=True)
    return [found]


def _findings(brief: Brief, judgement: Judgement, aftermath: Aftermath) -> list[Finding]:
    """Return what counts besides the checks, with the checks of the claim that judged nothing."""
    idle = [
        f"{check.id} {check.name}{f' ({check.reason})' if check.reason else ''}"
        for check in judgement.checks
        if check.id in brief.checks
        and (
            check.status is CheckStatus.NOT_APPLICABLE
            or (check.status is CheckStatus.PASS and not check.examined)
        )
    ]
    found = [one for one in aftermath.findings if one.reason_code not in RECOMPUTED_CODES]
    if idle:
        carry = "carries the claim" if len(idle) == 1 else "carry the claim"
        reason = f"{', '.join(idle)} {carry} and had nothing to judge"
        found.append(Finding(status=Status.UNKNOWN, reason_code=CLAIM_UNCHECKED, reason=reason))
    return found


def facts_of(brief: Brief, aftermath: Aftermath, *, torn: bool) -> RunFacts:
    """Return what a judge knows about a run beside its history.

    Raises:
        DamagedHistory: The brief says what no run has.
    """
    try:
        made = Payloads(brief.seed, bodies=brief.payload, to=brief.payloads)
        promises = frozenset(Promise(word) for word in brief.promises)
        planned = tuple(
            (str(one["kind"]), str(target))
            for phase in brief.faults
            for one in phase
            for target in one.get("targets", [one["on"]])
        )
    except (UsageError, ValueError, KeyError, TypeError) as error:
        raise DamagedHistory(f"{SCHEDULE_NAME}: {error}") from error
    return RunFacts(
        promises=promises,
        requires=Requires(**msgspec.structs.asdict(brief.requires)),
        expected_digest=made.expected_digest,
        expected_digests=made.expected_digests,
        route=brief.route,
        presence_bound_ns=int(brief.presence_bound_s * 1e9),
        delivery_bound_ns=int(brief.delivery_within_s * 1e9),
        planned=planned,
        promotions=brief.promotions,
        churns=frozenset(brief.churns),
        trouble=tuple(
            (one.reason_code, one.reason)
            for one in aftermath.findings
            if one.reason_code in _DRAIN_CODES
        ),
        torn=torn,
        trims=brief.trims,
        senders={int(producer): name for producer, name in aftermath.senders.items()},
        extra_actors=frozenset(brief.extra_actors),
    )


def _per_message(process: Process, delivered: int) -> Process:
    if not delivered:
        return process
    per_message = round(process.cpu_s * 1e6 / delivered, 4)
    return msgspec.structs.replace(process, cpu_us_per_message=per_message)


def _nothing_happened(counts: Counts) -> bool:
    sends = counts.sends
    return not (sends.ok or sends.fail or sends.info or counts.delivered)


def _bound(judgement: Judgement, aftermath: Aftermath) -> Bound | None:
    """Return what zero losses support; None unless it was proven that nothing was lost."""
    status = {check.id: check.status for check in judgement.checks}
    counts = judgement.counts
    if status.get("A1") is not CheckStatus.PASS:
        return None
    if counts.lost.total or counts.vanished or counts.passed_by:
        return None
    commits = aftermath.commits if judgement.commits is None else judgement.commits
    return zero_of_n(
        messages=judgement.counts.sends.ok, commits=max(0, commits), kills=judgement.kills
    )
