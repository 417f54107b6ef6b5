"""Scenarios from a test: `tallystick.run(…)` fails the test with the readable witness."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.addresses import masked
from harness.errors import HarnessError, UsageError
from harness.interface import checked_request, found, run_request
from harness.report import words
from harness.report.result import Limits, Result, Status
from harness.report.terminal import make_console, print_result
from harness.report.untried import beside, count_of, lines
from harness.run.request import REFERENCE_SYSTEM, RunRequest, draw_seed
from harness.scenario.parameters import Value
from harness.scenario.scenario import Scenario
from harness.systems.places import settle_place

NAME_CHARACTERS_MAX = 80
"""Of a test's name this much stands in the name of a run folder."""


class NotPassed(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """Raised by a run that did not pass; for pytest a failure like any other.

    Attributes:
        in_short: What happened, in one line; pytest's summary begins with it.
    """

    __module__ = "builtins"  # As pytest's own: reports name it without a module.

    def __init__(self, in_short: str, told: str) -> None:
        super().__init__(told, pytrace=False)
        self.in_short = in_short


@dataclass(slots=True, kw_only=True)
class Runs:
    """The fixture `tallystick`: runs scenarios for one test.

    Attributes:
        folder: Where the runs of this session lie; made with the first.
        beside: The folder of the test's file; scenario files are looked for there first.
        test: The test's node id.
        seed: What ``--tallystick-seed`` says; None draws a fresh one for each run.
        profile: What ``--tallystick-profile`` says.
        kept: The folders of the runs so far.
        not_tried: What was optional in those that passed and was left out, a line for each run;
            pytest's summary has it.
    """

    folder: Path
    beside: Path
    test: str
    seed: int | None
    profile: str
    kept: list[Path] = field(default_factory=list)
    not_tried: list[str] = field(default_factory=list)

    def run(
        self,
        scenario: str | Path | Scenario,
        system: str = REFERENCE_SYSTEM,
        *,
        seed: int | None = None,
        profile: str | None = None,
        limits: Sequence[str] = (),
        keep_history: str = "on-failure",
        **parameters: Value,
    ) -> Result:
        """Run a scenario and return its result if it PASSed; the test fails otherwise.

        Args:
            scenario: A name, a file, ``package.module:NAME``, or the `Scenario` itself.
            system: A name, or ``module:NAME`` that load processes can import too; its options
                follow, as in ``nats?endpoint=127.0.0.1:4222``.
            seed: Instead of the command line's.
            profile: Instead of the command line's.
            limits: Thresholds as of ``--limit``; missing one fails the test. Those that the
                scenario itself states are only told.
            keep_history: "always", "on-failure" or "never".
            parameters: The scenario's own.
        """
        __tracebackhide__ = True
        try:
            # Whoever reads a traceback sees what it is called with below here.
            system = settle_place(system)
            request = self._request(
                scenario, system, seed, profile, tuple(limits), keep_history, parameters
            )
            result = run_request(request, sys.stderr)
        except (UsageError, HarnessError) as error:
            told = f"tallystick: {error}"
            raise NotPassed(told.partition("\n")[0], told) from None
        asked = {text.split()[0] for text in request.limits}
        missed = any(not one.met and one.metric in asked for one in result.limits)
        if result.verdict.status is not Status.PASS or missed:
            raise NotPassed(first_line(result, asked), _told(result, request, self.test, asked))
        if result.not_tried:
            told = "; ".join(lines(result.not_tried))
            left = beside(count_of(result.not_tried))
            self.not_tried.append(f"PASS, {left}: {result.run.scenario}: {told}")
        if result.verdict.limits is Limits.MISSED:
            sys.stderr.write(f"limits of the scenario were missed; see {request.run_dir}\n")
        return result

    def _request(
        self,
        scenario: str | Path | Scenario,
        system: str,
        seed: int | None,
        profile: str | None,
        limits: tuple[str, ...],
        keep_history: str,
        parameters: dict[str, Value],
    ) -> RunRequest:
        loaded, place = found(self._beside(scenario), f"test {masked(self.test)}")
        if seed is None:
            seed = draw_seed() if self.seed is None else self.seed
        return checked_request(
            loaded,
            place,
            system,
            seed=seed,
            profile=profile or self.profile,
            limits=limits,
            keep_history=keep_history,
            parameters=parameters,
            make_folder=self._new_folder,
            command=f"pytest {masked(self.test)}",
        )

    def _beside(self, scenario: str | Path | Scenario) -> str | Path | Scenario:
        """Return a scenario file beside the test by its path; anything else as it is."""
        if not isinstance(scenario, Scenario) and str(scenario).endswith(".py"):
            file = self.beside / scenario
            return file.resolve() if file.is_file() else scenario
        return scenario

    def _new_folder(self) -> Path:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", _beside_folders(masked(self.test)))
        name = name.strip("-")[:NAME_CHARACTERS_MAX]
        number = 1
        while True:
            folder = self.folder / f"{name}-{number}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                self.kept.append(folder)
                return folder


def _beside_folders(test: str) -> str:
    """Return a node id from its file on; a slash in a parameter is none of a folder."""
    path, colons, rest = test.partition("::")
    return f"{path.rpartition('/')[2]}{colons}{rest}"


def first_line(result: Result, asked: Collection[str] = ()) -> str:
    """Return what a test failed for in one line, which is all that pytest's summary shows.

    Args:
        result: The run.
        asked: The metrics whose limits fail a test.
    """
    verdict = result.verdict
    if result.diagnosis is not None:
        return result.diagnosis.text
    if verdict.status is Status.PASS:
        missed = [one for one in result.limits if not one.met and one.metric in asked]
        return f"limit missed: {'; '.join(words.limit(one) for one in missed)}"
    return f"{verdict.reason} ({verdict.status.value})"


def _told(result: Result, request: RunRequest, test: str, asked: Collection[str]) -> str:
    out = io.StringIO()
    print_result(make_console(out), result, request.run_dir)
    same = f"  same seed   pytest {test!r} --tallystick-seed {request.seed}"
    return f"{first_line(result, asked)}\n\n{out.getvalue()}{same}"
