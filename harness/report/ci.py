"""Pages for a CI job's summary: one Markdown file to which every step may append."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report import untried
from harness.report.junit import Case
from harness.report.result import Status, Suite
from harness.report.summary import broken_markdown, result_markdown, suite_table

PAGE_BYTES_MAX = 900_000
"""Largest page appended at once: GitHub refuses a step's summary above 1 MiB as a whole."""

_CUT = "\n\n*(cut off here; the whole summary lies in the results folder)*\n"


def append_page(path: Path, page: str) -> None:
    """Append a page to a summary file, cut at `PAGE_BYTES_MAX`.

    Raises:
        OSError: The file system refused.
    """
    data = page.encode()
    if len(data) > PAGE_BYTES_MAX:
        data = data[: PAGE_BYTES_MAX - len(_CUT)].decode(errors="ignore").encode() + _CUT.encode()
    with path.open("ab") as file:
        file.write(data + b"\n")


def result_page(case: Case) -> str:
    """Return the page of one run."""
    if case.result is None:
        assert case.verdict is not None  # A run without a result broke, and says why.
        return broken_markdown(case.label, case.verdict)
    return result_markdown(case.result, case.run_dir or "RESULT")


def suite_page(suite: Suite, cases: Sequence[Case]) -> str:
    """Return the page of a suite: a table, then each run, folded away unless it did not pass."""
    parts = [suite_table(suite, links=False)]
    for case in cases:
        if case.skipped:
            continue
        status = case.result.verdict.status if case.result else Status.ERROR
        state = "" if status is Status.PASS else " open"
        left = untried.beside(untried.count_of(case.result.not_tried)) if case.result else ""
        beside = f", {left}" if left else ""
        parts.append(
            f"<details{state}><summary>{status.value}{beside}: {case.label}</summary>\n\n"
            f"{result_page(case)}\n</details>\n"
        )
    return "\n".join(parts)
