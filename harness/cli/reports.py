"""The reports that a user asked for beside the run folder: `--junit`, `--markdown`, `--html`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from harness.cli.report import write_report
from harness.errors import UsageError
from harness.report.ci import append_page, result_page, suite_page
from harness.report.html import require_plotly
from harness.report.junit import JUNIT_NAME, Case, junit_document
from harness.report.reach import never
from harness.report.result import Result, Suite, Verdict
from harness.report.writer import write_atomically


def see_writable(option: str, path: Path | None) -> None:
    """See that a file can be written before a run is spent on it, and make its folder.

    Raises:
        UsageError: It cannot; names the option.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {path}: {error}") from error
    beside = path if path.exists() else path.parent
    if path.is_dir() or not os.access(beside, os.W_OK):
        raise UsageError(f"{option} {path}: cannot be written")


@dataclass(slots=True, kw_only=True)
class Reports:
    """Collects what ran and writes it where the user wants it.

    Attributes:
        junit: Replaced by the JUnit XML of everything that ran.
        markdown: Appended to, as a CI job's summary page is.
        html: Make `report.html` in the folder of the run or suite.
    """

    junit: Path | None = None
    markdown: Path | None = None
    html: bool = False
    _cases: list[Case] = field(default_factory=list)

    def check(self) -> Reports:
        """See that the files can be written before a run is spent on them; return itself.

        Raises:
            UsageError: One cannot.
        """
        if self.html:
            require_plotly()
        for option, path in (("--junit", self.junit), ("--markdown", self.markdown)):
            see_writable(option, path)
        return self

    def add(self, label: str, result: Result, run_dir: Path) -> None:
        """Take a run that has a result."""
        self._cases.append(Case(label=label, result=result, run_dir=str(run_dir)))

    def add_broken(self, label: str, scenario: str, verdict: Verdict, duration_s: float) -> None:
        """Take a run of which there is no result."""
        self._cases.append(
            Case(label=label, scenario=scenario, verdict=verdict, duration_s=duration_s)
        )

    def write_run(self) -> None:
        """Write what was asked for, of a single run."""
        self._write_junit()
        if self.markdown is not None:
            for case in self._cases:
                append_page(self.markdown, result_page(case))
        for case in self._cases:
            if self.html and case.result is not None:
                write_report(Path(case.run_dir))

    def write_suite(self, suite: Suite, suite_dir: Path) -> None:
        """Write what was asked for, of a suite; its folder gets a JUnit file in any case."""
        skipped = [*suite.not_applicable, *suite.not_run]
        self._cases += [
            Case(label=one.name, scenario=one.name, skipped=one.reason) for one in skipped
        ]
        if told := never(suite, f"tallystick reach {suite_dir}"):
            self._cases.append(Case(label="reach", scenario="reach", skipped=told))
        write_atomically(suite_dir / JUNIT_NAME, junit_document(self._cases))
        self._write_junit()
        if self.markdown is not None:
            append_page(self.markdown, suite_page(suite, self._cases))
        if self.html:
            write_report(suite_dir)

    def _write_junit(self) -> None:
        if self.junit is not None:
            write_atomically(self.junit, junit_document(self._cases))
