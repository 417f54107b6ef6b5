"""Merging what checks, shards and scenarios found into one verdict, and its exit code.

FAIL > ERROR > UNKNOWN > PASS (docs/invariants.md says what each means): a crashed checker never
hides an anomaly that another one proved, and nothing hides behind a pass. But where the history
itself is known to have lost records, nothing in it proves anything: that is an ERROR. Limits on
speed and liveness stand beside the verdict and never change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.checkers.trust import in_trust_order
from harness.report import untried
from harness.report.result import (
    Check,
    CheckStatus,
    Diagnosis,
    Limit,
    Limits,
    NotTried,
    Status,
    Verdict,
)

EXIT_PASS = 0
EXIT_FAIL = 1
"""FAIL and only FAIL, and then a result file says so."""
EXIT_USAGE = 2
EXIT_UNKNOWN = 3
EXIT_LIMITS_MISSED = 4
EXIT_ERROR = 70
EXIT_SIGHUP = 129
EXIT_SIGINT = 130
EXIT_SIGTERM = 143

INTERRUPTED_CODE = "interrupted"

_RANK = {Status.PASS: 0, Status.UNKNOWN: 1, Status.ERROR: 2, Status.FAIL: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What happened to a run besides its checks: a broken harness, a bypassed link, a stuck drain.

    Attributes:
        status: UNKNOWN or ERROR (only a check can FAIL a system).
        reason_code: One word for programs.
        reason: One sentence for people.
        voids: The history is not whole: what the checks found in it convicts nobody.
    """

    status: Status
    reason_code: str
    reason: str
    voids: bool = False


def rank(status: Status) -> int:
    """Return how bad a status is: a larger number is worse."""
    return _RANK[status]


def merge(statuses: Iterable[Status]) -> Status:
    """Return the worst of them: FAIL > ERROR > UNKNOWN > PASS; UNKNOWN if there is none."""
    return max(statuses, key=_RANK.__getitem__, default=Status.UNKNOWN)


def merge_limits(parts: Iterable[Limits]) -> Limits:
    """Return MISSED if one was missed, else MET if one was met, else NONE."""
    seen = set(parts)
    if Limits.MISSED in seen:
        return Limits.MISSED
    return Limits.MET if Limits.MET in seen else Limits.NONE


def judge_limits(limits: Sequence[Limit]) -> Limits:
    """Return whether all thresholds were met; NONE if there is none."""
    return merge_limits(Limits.MET if limit.met else Limits.MISSED for limit in limits)


def exit_code(status: Status, limits: Limits) -> int:
    """Return the exit code of a verdict that was reached without an interruption."""
    match status:
        case Status.FAIL:
            return EXIT_FAIL
        case Status.ERROR:
            return EXIT_ERROR
        case Status.UNKNOWN:
            return EXIT_UNKNOWN
        case Status.PASS:
            return EXIT_LIMITS_MISSED if limits is Limits.MISSED else EXIT_PASS


def failed_in_order(
    checks: Iterable[Check], diagnosis: Diagnosis | None = None
) -> tuple[Check | None, list[Check]]:
    """Return the failed check to explain, and the others that failed, the first to believe first.

    What is explained is the root that the diagnosis names; without one, the first to believe.
    """
    failed = [c for c in in_trust_order(checks) if c.status is CheckStatus.FAIL]
    if not failed:
        return None, []
    root = next((c for c in failed if diagnosis is not None and c.id == diagnosis.check), failed[0])
    return root, [c for c in failed if c is not root]


def decide(
    checks: Sequence[Check],
    limits: Sequence[Limit] = (),
    findings: Sequence[Finding] = (),
    *,
    diagnosis: Diagnosis | None = None,
    not_tried: Sequence[NotTried] = (),
) -> Verdict:
    """Return the verdict of a run.

    Args:
        checks: All of them; those not applicable do not count.
        limits: Thresholds, already compared.
        findings: What else happened. Of several with the deciding status the first is the reason,
            and findings come before checks.
        diagnosis: What happened, where a check failed; then it is the reason.
        not_tried: What was optional and left out; a pass says that there was such.
    """
    applicable = [c for c in checks if c.status is not CheckStatus.NOT_APPLICABLE]
    all_findings = list(findings)
    if not applicable:
        all_findings.append(
            Finding(
                status=Status.UNKNOWN,
                reason_code="no_applicable_check",
                reason="no check applied to this system, so nothing was proven",
            )
        )
    status = merge(
        [*(Status(c.status.value) for c in applicable), *(f.status for f in all_findings)]
    )
    if void := next((one for one in all_findings if one.voids), None):
        status = void.status
    reached = judge_limits(limits)
    if status is Status.FAIL and diagnosis is not None:
        root = next(check for check in applicable if check.id == diagnosis.check)
        code, reason = reason_code_of(root), diagnosis.text
    else:
        code, reason = _explain(status, applicable, limits, all_findings)
    if status is Status.PASS and not_tried:
        reason = f"{reason}; {untried.beside(untried.count_of(not_tried))}"
    return Verdict(
        status=status,
        reason_code=code,
        reason=reason,
        limits=reached,
        exit_code=exit_code(status, reached),
    )


def _explain(
    status: Status,
    applicable: Sequence[Check],
    limits: Sequence[Limit],
    findings: Sequence[Finding],
) -> tuple[str, str]:
    if status is Status.PASS:
        missed = [limit.metric for limit in limits if not limit.met]
        behind = f"; limits missed: {', '.join(missed)}" if missed else ""
        return "all_checks_passed", f"all {len(applicable)} applicable checks passed{behind}"
    for finding in findings:
        if finding.status is status:
            return finding.reason_code, finding.reason
    first = next(c for c in in_trust_order(applicable) if c.status.value == status.value)
    others = sum(c.status.value == status.value for c in applicable) - 1
    more = f" (and {others} more {'check' if others == 1 else 'checks'})" if others else ""
    return reason_code_of(first), f"{first.id} {first.name}: {_reason_of(first)}{more}"


def reason_code_of(check: Check) -> str:
    """Return the reason code of a check, from its name: "LOST" becomes "lost"."""
    word = check.name.lower()
    return "".join(letter if letter.isalnum() else "_" for letter in word).strip("_") or check.id


def _reason_of(check: Check) -> str:
    if check.reason:
        return check.reason
    if check.status is CheckStatus.FAIL:
        return f"{check.instances} found in {check.examined} examined"
    return "not judged"


def started() -> Verdict:
    """Return the verdict that stands in a result file until its run has ended."""
    return Verdict(
        status=Status.ERROR,
        reason_code="incomplete",
        reason="the run did not reach its end",
        limits=Limits.NONE,
        exit_code=EXIT_ERROR,
    )


def broken(reason: str) -> Verdict:
    """Return the verdict of a run that the harness could not carry out."""
    return Verdict(
        status=Status.ERROR,
        reason_code="harness",
        reason=reason,
        limits=Limits.NONE,
        exit_code=EXIT_ERROR,
    )


def interrupted(partial: Verdict, code: int) -> Verdict:
    """Return the verdict of a run that a signal ended.

    A FAIL already found stays; all else is UNKNOWN, since the plan was not carried out. The exit
    code is the signal's in every case.

    Args:
        partial: The verdict over what was recorded.
        code: `EXIT_SIGHUP`, `EXIT_SIGINT` or `EXIT_SIGTERM`.
    """
    names = {EXIT_SIGHUP: "SIGHUP", EXIT_SIGINT: "SIGINT", EXIT_SIGTERM: "SIGTERM"}
    signal_name = names[code]
    # Other than FAIL nothing counts: that a part of a run was not judged is to be expected.
    keep = partial.status is Status.FAIL
    reason = f"{partial.reason}; " if keep else ""
    return Verdict(
        status=Status.FAIL if keep else Status.UNKNOWN,
        reason_code=partial.reason_code if keep else INTERRUPTED_CODE,
        reason=f"{reason}the run was interrupted by {signal_name}",
        limits=Limits.NONE,
        exit_code=code,
    )


def merge_runs(runs: Sequence[tuple[str, Verdict]]) -> Verdict:
    """Return the verdict of a suite from (scenario, verdict) pairs; UNKNOWN if there is none.

    Its reason is that of the first scenario with the deciding status.
    """
    if not runs:
        return Verdict(
            status=Status.UNKNOWN,
            reason_code="no_applicable_scenario",
            reason="no scenario applied to this system, so nothing was proven",
            limits=Limits.NONE,
            exit_code=EXIT_UNKNOWN,
        )
    status = merge(verdict.status for _, verdict in runs)
    limits = merge_limits(verdict.limits for _, verdict in runs)
    name, first = next((name, v) for name, v in runs if v.status is status)
    if status is Status.PASS:
        missed = [name for name, v in runs if v.limits is Limits.MISSED]
        behind = f"; limits missed in {', '.join(missed)}" if missed else ""
        # Runs and not scenarios: one may have been repeated, or run on several systems.
        passed = "the run" if len(runs) == 1 else f"all {len(runs)} runs"
        code, reason = "all_scenarios_passed", f"{passed} passed{behind}"
    else:
        code, reason = first.reason_code, f"{name}: {first.reason}"
    return Verdict(
        status=status,
        reason_code=code,
        reason=reason,
        limits=limits,
        exit_code=exit_code(status, limits),
    )
