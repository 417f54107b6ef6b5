"""What `check` says of the files that are made for people and CI systems from a result.

How each case of a `junit.xml` ended must be what the result says. Else its text and `summary.md`
are compared with what this version makes of the result, and a difference is a remark: another
version may word it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.faults.journal import JOURNAL_NAME
from harness.report.junit import JUNIT_NAME, Case, junit, junit_document, outcomes
from harness.report.result import Artifact, Result, Suite
from harness.report.summary import SUMMARY_NAME, result_markdown, suite_markdown
from harness.report.writer import describe_artifacts
from harness.run.brief import SCHEDULE_NAME
from harness.run.recheck import told_by

ALWAYS_LISTED = frozenset({SCHEDULE_NAME, JOURNAL_NAME, JUNIT_NAME, SUMMARY_NAME})
"""Files that a run always writes before it lists what there is."""


def unlisted(run_dir: Path, listed: Sequence[Artifact]) -> list[str]:
    """Return the files of a run folder that its result does not list."""
    known = {one.path for one in listed}
    return [one.path for one in describe_artifacts(run_dir) if one.path not in known]


def junit_differences(run_dir: Path, stored: Result) -> Iterator[str]:
    """Yield where the cases of a run's `junit.xml` ended otherwise than its result says."""
    path = run_dir / JUNIT_NAME
    if path.is_file():
        yield from _differ(JUNIT_NAME, path.read_bytes(), junit(stored), whole=True)


def suite_junit(suite_dir: Path, results: Mapping[str, Result]) -> Iterator[str]:
    """Yield the same of a `junit.xml` of a suite, where one lies in its folder."""
    path = suite_dir / JUNIT_NAME
    if not path.is_file():
        return
    cases = [
        Case(label=place.rpartition("/")[0], result=one, run_dir=str(suite_dir))
        for place, one in results.items()
    ]
    yield from _differ(str(path), path.read_bytes(), junit_document(cases), whole=False)


def _differ(name: str, found: bytes, made: bytes, *, whole: bool) -> Iterator[str]:
    """Compare two documents; unless `whole`, one may have suites that were not made again."""
    expected = outcomes(made)
    try:
        told = outcomes(found)
    except ValueError as error:
        yield f"{name}: {error}"
        return
    for case, ended in expected.items():
        if told.get(case) != ended:
            yield f"{name}: {case}: {told.get(case, 'not there')}, from the result {ended}"
    for case in sorted(told.keys() - expected.keys()) if whole else ():
        yield f"{name}: {case}: {told[case]}, and not in the result"


def remarks(run_dir: Path, stored: Result) -> Iterator[str]:
    """Yield what `check` could hold against nothing, a line each."""
    yield f"told, and held against nothing: {', '.join(told_by(stored))}"
    for name, made in (
        (JUNIT_NAME, junit(stored)),
        (SUMMARY_NAME, result_markdown(stored).encode()),
    ):
        path = run_dir / name
        if path.is_file() and path.read_bytes() != made:
            yield f"{name} is worded otherwise than this version would of the result"
    read = {*ALWAYS_LISTED, *(one.path for one in stored.artifacts if "history/" in one.path)}
    others = sorted({one.path for one in stored.artifacts} - read)
    if others:
        yield f"not read, only compared with their digests: {', '.join(others)}"
    if added := unlisted(run_dir, stored.artifacts):
        yield f"added after the run: {', '.join(added)}"


def suite_remarks(suite_dir: Path, suite: Suite, results: Sequence[Result]) -> Iterator[str]:
    """Yield the same of a suite."""
    told = dict.fromkeys(word for one in results for word in told_by(one))
    told |= dict.fromkeys(("what was left out, and why",))
    yield f"told, and held against nothing: {', '.join(told)}"
    path = suite_dir / SUMMARY_NAME
    if path.is_file() and path.read_text() != suite_markdown(suite):
        yield f"{SUMMARY_NAME} is worded otherwise than this version would of the suite"
