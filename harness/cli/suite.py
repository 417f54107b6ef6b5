"""Several runs with one verdict: what `verify` does, and `run --repeat`.

Every run is kept and told. Nothing is tried again in the hope of a better end: a repeat adds a run,
and the worst of all runs is the verdict.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.console import Console

from harness.cli.reports import Reports
from harness.cli.signals import under_signals
from harness.cli.under_test import shown_command
from harness.errors import HarnessError, SetupError, UsageError
from harness.provision.environment import environment
from harness.report.live import watching
from harness.report.reach import together
from harness.report.result import NotApplicable, Result, Status, Suite, SuiteScenario, Verdict
from harness.report.summary import write_suite_summary
from harness.report.terminal import make_console, print_result, print_suite
from harness.report.untried import count_of
from harness.report.writer import write_suite
from harness.run import verdict as verdicts
from harness.run.carry_out import carry_out, mark_interrupted
from harness.run.observer import Observer
from harness.run.request import REFERENCE_SYSTEM
from harness.run.requesting import make_request
from harness.scenario.loader import LoadedScenario

STOPPING = frozenset({Status.FAIL, Status.ERROR})
"""What ends a suite early with `--fail-fast` or `--until-fail`; UNKNOWN and limits do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One run of a suite.

    Attributes:
        loaded: The scenario.
        place: How the user named it.
        folder: Where it goes, below the suite's folder; unique in the suite.
        seed: Its seed.
        assignments: What ``--set`` said.
        system: The system under test.
    """

    loaded: LoadedScenario
    place: str
    folder: str
    seed: int
    assignments: Mapping[str, str] = field(default_factory=dict)
    system: str = REFERENCE_SYSTEM


@dataclass(slots=True, kw_only=True)
class SuiteJob:
    """A suite under way; its file is replaced after each run.

    Attributes:
        suite_dir: Its folder.
        suite: What `suite.json` says so far.
        keep_history: As of `run`.
        limits: Thresholds from the command line, for every run.
        files: What was loaded before, for the commands to repeat.
        stop_at_failure: Leave out what is planned behind the first FAIL or ERROR.
        reports: What else is written at the end.
    """

    suite_dir: Path
    suite: Suite
    keep_history: str
    limits: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stop_at_failure: bool = False
    reports: Reports = field(default_factory=Reports)
    _console: Console = field(default_factory=lambda: make_console(sys.stdout))
    _verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    _under_way: Planned | None = None
    _results: list[Result] = field(default_factory=list)

    def skip(self, loaded: LoadedScenario, reason: str) -> None:
        """List a scenario that the system cannot be put through."""
        skipped = NotApplicable(name=loaded.scenario.name, reason=reason)
        self.suite = msgspec.structs.replace(
            self.suite, not_applicable=[*self.suite.not_applicable, skipped]
        )

    def run_all(self, planned: Iterable[Planned]) -> int:
        """Carry out the runs, in order, and return the exit code.

        A run that breaks, for whatever reason, is an ERROR, and the others are carried out.

        Raises:
            SetupError: Something that every run needs is missing.
        """
        write_suite(self.suite_dir, self.suite)
        rest = iter(planned)

        async def work() -> bool:
            for one in rest:
                await self._run_one(one)
                if self.stop_at_failure and self._verdicts[-1][1].status in STOPPING:
                    break
            self._leave_out(rest, "an earlier one failed")
            return True

        try:
            ended = under_signals(work)
        except Exception as error:
            self._give_up(rest, str(error))
            raise
        if ended.interrupted_by is not None:
            self._leave_out(rest, "the suite was interrupted")
            return self._interrupt(ended.interrupted_by)
        self.suite = msgspec.structs.replace(
            self.suite, complete=True, verdict=verdicts.merge_runs(self._verdicts)
        )
        self._close()
        return self.suite.verdict.exit_code

    async def _run_one(self, planned: Planned) -> None:
        name = planned.loaded.scenario.name
        run_dir = self.suite_dir / planned.folder
        run_dir.mkdir()
        self._under_way = planned
        request = make_request(
            planned.loaded,
            planned.place,
            profile=self.suite.profile,
            seed=planned.seed,
            assignments=planned.assignments,
            system=planned.system,
            run_dir=run_dir,
            command=shown_command(sys.argv[1:]),
            keep_history=self.keep_history,
            limits=self.limits,
            files=self.files,
            charts=self.reports.html,
        )
        begun_s = time.monotonic()
        with watching(sys.stderr, f"{name}, seed {planned.seed}") as observer:
            observer.note(f"scenario {name}")
            try:
                outcome = await carry_out(request, observer)
            except SetupError:
                # Without its prerequisites no scenario can run: not one line for each of them.
                raise
            except (UsageError, HarnessError) as error:
                self._add_broken(planned, str(error), time.monotonic() - begun_s, observer)
                return
        result = outcome.result
        self.suite = msgspec.structs.replace(self.suite, environment=result.environment)
        self._add_result(planned, result)

    def _add_result(self, planned: Planned, result: Result) -> None:
        self._add_up(result)
        left = count_of(result.not_tried)
        self._add(planned, result.verdict, result.run.duration_s, not_tried=left)
        run_dir = self.suite_dir / planned.folder
        self.reports.add(planned.folder, result, run_dir)
        print_result(self._console, result, run_dir)

    def _add_up(self, result: Result) -> None:
        """Add the rare states that a run reached to those of the suite."""
        self._results.append(result)
        reached, missed = together(self._results)
        self.suite = msgspec.structs.replace(self.suite, reached=reached, never_reached=missed)

    def _add_broken(
        self, planned: Planned, reason: str, duration_s: float, observer: Observer
    ) -> None:
        observer.note(f"ERROR {reason}")
        broken = verdicts.broken(reason)
        self._add(planned, broken, duration_s)
        self.reports.add_broken(planned.folder, planned.loaded.scenario.name, broken, duration_s)

    def _add(
        self, planned: Planned, verdict: Verdict, duration_s: float, *, not_tried: int = 0
    ) -> None:
        self._under_way = None
        name = planned.loaded.scenario.name
        self._verdicts.append((planned.folder, verdict))
        entry = SuiteScenario(
            name=name,
            status=verdict.status,
            limits=verdict.limits,
            reason=verdict.reason,
            duration_s=round(duration_s, 3),
            result=f"{planned.folder}/result.json",
            not_tried=not_tried,
        )
        self.suite = msgspec.structs.replace(self.suite, scenarios=[*self.suite.scenarios, entry])
        write_suite(self.suite_dir, self.suite)

    def _leave_out(self, rest: Iterable[Planned], why: str) -> None:
        left = [NotApplicable(name=one.folder, reason=f"not run: {why}") for one in rest]
        self.suite = msgspec.structs.replace(self.suite, not_run=left)

    def _give_up(self, rest: Iterable[Planned], reason: str) -> None:
        """Close a suite that cannot go on with the reason, and with what has not run."""
        under_way = [] if self._under_way is None else [self._under_way]
        self._leave_out([*under_way, *rest], reason)
        verdict = verdicts.merge_runs([*self._verdicts, ("the suite", verdicts.broken(reason))])
        self.suite = msgspec.structs.replace(self.suite, verdict=verdict)
        self._close()

    def _interrupt(self, code: int) -> int:
        """Close the suite with what a signal left of it, and return its exit code."""
        if self._under_way is not None:
            planned = self._under_way
            marked = mark_interrupted(self.suite_dir / planned.folder, code)
            if marked is not None:
                self._add_result(planned, marked)
        merged = verdicts.merge_runs(self._verdicts)
        self.suite = msgspec.structs.replace(self.suite, verdict=verdicts.interrupted(merged, code))
        self._close()
        return code

    def _close(self) -> None:
        write_suite_summary(self.suite_dir, self.suite)
        write_suite(self.suite_dir, self.suite)
        self.reports.write_suite(self.suite, self.suite_dir)
        print_suite(self._console, self.suite, self.suite_dir)


def new_suite(suite_dir: Path, profile: str, seed: int) -> Suite:
    """Return a suite that has not run yet."""
    return Suite(
        complete=False,
        verdict=verdicts.started(),
        profile=profile,
        seed=seed,
        environment=environment(suite_dir),
    )
