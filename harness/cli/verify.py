"""`tallystick verify`: every scenario, one verdict, for CI."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from harness.cli.carry_out import (
    carry_out,
    check_keep_history,
    check_seed,
    checked_parameters,
    make_request,
    mark_interrupted,
    under_signals,
)
from harness.cli.run import folder_for
from harness.errors import HarnessError, SetupError
from harness.provision.environment import environment
from harness.report.live import watching
from harness.report.result import NotApplicable, Status, Suite, SuiteScenario, Verdict
from harness.report.summary import write_suite_summary
from harness.report.terminal import make_console, print_result, print_suite
from harness.report.writer import write_suite
from harness.run import verdict as verdicts
from harness.run.observer import Observer
from harness.run.planted import refuse_planted
from harness.run.request import REFERENCE_SYSTEM, draw_seed, stamp
from harness.scenario.loader import LoadedScenario, find, load_all
from harness.systems.registry import load_system


def verify(
    profile: Annotated[str, typer.Option(help="smoke, standard or nightly.")] = "standard",
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this scenario; may be repeated.", metavar="NAME"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeats the schedules of load and faults.", metavar="N")
    ] = None,
    system: Annotated[
        str, typer.Option(help="The system under test: a name or module:NAME.")
    ] = REFERENCE_SYSTEM,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the suite; new or empty.", metavar="DIR")
    ] = None,
    keep_history: Annotated[str, typer.Option(help="always, on-failure or never.")] = "always",
) -> None:
    """Run all scenarios and merge their verdicts: FAIL over ERROR over UNKNOWN over PASS.

    Ends with 0 PASS, 1 FAIL, 2 wrong usage, 3 UNKNOWN, 4 PASS with limits missed, 70 ERROR.
    """
    places = [name for text in only or [] for name in text.split(",") if name]
    chosen = [(place, find(place)) for place in places] or [
        (loaded.scenario.name, loaded) for loaded in load_all()
    ]
    under_test = load_system(system)
    for _, loaded in chosen:
        parameters = checked_parameters(loaded, profile, {})
        refuse_planted(under_test, loaded.scenario.plan_for(parameters))
    check_keep_history(keep_history)
    abilities = under_test.abilities
    suite_seed = draw_seed() if seed is None else check_seed(seed)
    suite_dir = folder_for(f"{stamp()}-verify-{suite_seed}", out)
    job = _Job(
        suite_dir=suite_dir,
        system=system,
        keep_history=keep_history,
        console=make_console(sys.stdout),
        suite=Suite(
            complete=False,
            verdict=verdicts.started(),
            profile=profile,
            seed=suite_seed,
            environment=environment(suite_dir),
        ),
    )
    runnable = []
    for place, loaded in chosen:
        missing = sorted(loaded.scenario.needs - abilities)
        if missing:
            job.skip(loaded, f"needs {', '.join(missing)}")
        else:
            runnable.append((place, loaded))
    sys.stderr.write(f"seed {suite_seed}, results in {suite_dir}\n")
    raise typer.Exit(_run_all(job, runnable))


def _run_all(job: _Job, runnable: list[tuple[str, LoadedScenario]]) -> int:
    job.write()

    async def work() -> bool:
        for place, loaded in runnable:
            await job.run_one(place, loaded)
        return True

    ended = under_signals(work)
    if ended.interrupted_by is not None:
        return job.interrupt(ended.interrupted_by)
    return job.finish()


@dataclass(slots=True, kw_only=True)
class _Job:
    """A suite under way; its file is replaced after each scenario."""

    suite_dir: Path
    system: str
    keep_history: str
    console: Console
    suite: Suite
    verdicts: list[tuple[str, Verdict]] = field(default_factory=list)
    under_way: tuple[str, Path] | None = None

    def write(self) -> None:
        write_suite(self.suite_dir, self.suite)

    def skip(self, loaded: LoadedScenario, reason: str) -> None:
        skipped = NotApplicable(name=loaded.scenario.name, reason=reason)
        self.suite = msgspec.structs.replace(
            self.suite, not_applicable=[*self.suite.not_applicable, skipped]
        )

    async def run_one(self, place: str, loaded: LoadedScenario) -> None:
        """Run a scenario and add it to the suite."""
        name = loaded.scenario.name
        run_dir = self.suite_dir / name
        run_dir.mkdir()
        request = make_request(
            loaded,
            place,
            profile=self.suite.profile,
            seed=self.suite.seed,
            assignments={},
            system=self.system,
            run_dir=run_dir,
            command=shlex.join(["tallystick", *sys.argv[1:]]),
            keep_history=self.keep_history,
        )
        self.under_way = (name, run_dir)
        begun_s = time.monotonic()
        with watching(sys.stderr, f"{name}, seed {self.suite.seed}") as observer:
            observer.note(f"scenario {name}")
            try:
                outcome = await carry_out(request, observer)
            except SetupError:
                # Without its prerequisites no scenario can run: not one line for each of them.
                raise
            except HarnessError as error:
                self._add_broken(name, str(error), time.monotonic() - begun_s, observer)
                return
        result = outcome.result
        self.suite = msgspec.structs.replace(self.suite, environment=result.environment)
        self._add(name, result.verdict, result.run.duration_s)
        print_result(self.console, result, run_dir)

    def _add_broken(self, name: str, reason: str, duration_s: float, observer: Observer) -> None:
        observer.note(f"ERROR {reason}")
        broken = Verdict(
            status=Status.ERROR,
            reason_code="harness",
            reason=reason,
            limits=verdicts.started().limits,
            exit_code=verdicts.EXIT_ERROR,
        )
        self._add(name, broken, duration_s)

    def _add(self, name: str, verdict: Verdict, duration_s: float) -> None:
        self.under_way = None
        self.verdicts.append((name, verdict))
        entry = SuiteScenario(
            name=name,
            status=verdict.status,
            limits=verdict.limits,
            reason=verdict.reason,
            duration_s=round(duration_s, 3),
            result=f"{name}/result.json",
        )
        self.suite = msgspec.structs.replace(self.suite, scenarios=[*self.suite.scenarios, entry])
        self.write()

    def interrupt(self, code: int) -> int:
        """Close the suite with what a signal left of it, and return its exit code."""
        if self.under_way is not None:
            name, run_dir = self.under_way
            marked = mark_interrupted(run_dir, code)
            if marked is not None:
                self._add(name, marked.verdict, marked.run.duration_s)
                print_result(self.console, marked, run_dir)
        merged = verdicts.merge_runs(self.verdicts)
        self.suite = msgspec.structs.replace(self.suite, verdict=verdicts.interrupted(merged, code))
        self._close()
        return code

    def finish(self) -> int:
        self.suite = msgspec.structs.replace(
            self.suite, complete=True, verdict=verdicts.merge_runs(self.verdicts)
        )
        self._close()
        return self.suite.verdict.exit_code

    def _close(self) -> None:
        write_suite_summary(self.suite_dir, self.suite)
        self.write()
        print_suite(self.console, self.suite, self.suite_dir)
