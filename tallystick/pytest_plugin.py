"""The pytest plugin: fixtures `tallystick` and `toxic_link`, and their options.

A session that uses neither imports nothing more than this file, and sees nothing of it but the
options in ``--help``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    # For annotations in tests; importing them for good needs all of the harness.
    from harness.plugin.runs import Runs as Runs
    from harness.plugin.toxic import ToxicLink as ToxicLink
    from harness.plugin.toxic import ToxicLinks as ToxicLinks

RESULT_PROPERTY = "tallystick_result"
"""User property of a test that names the folder of a run; it comes through xdist and into JUnit."""

NOT_TRIED_PROPERTY = "tallystick_not_tried"
"""User property of a test that passed without something its scenario marks as optional."""

_PROFILES = ("smoke", "standard", "nightly")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("tallystick")
    group.addoption(
        "--tallystick-seed", type=int, metavar="N", default=None,
        help="Seed of every run that names none; without it each draws a fresh one.",
    )  # fmt: skip
    group.addoption(
        "--tallystick-profile", choices=_PROFILES, default="smoke",
        help="Profile of every run that names none (default: smoke).",
    )  # fmt: skip
    group.addoption(
        "--tallystick-results", metavar="DIR", default=None,
        help="Where runs are kept (default: results/pytest below the root folder).",
    )  # fmt: skip


@pytest.fixture(scope="session")
def _tallystick_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of this session's runs; it is made with the first of them."""
    named = request.config.getoption("--tallystick-results")
    base = Path(named) if named else request.config.rootpath / "results" / "pytest"
    # Workers of xdist are processes of their own, and each has a folder of its own.
    return base.absolute() / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"


@pytest.fixture
def tallystick(request: pytest.FixtureRequest, _tallystick_folder: Path) -> Iterator[Runs]:
    """Run scenarios: ``tallystick.run("offline_messaging", users=2)``; not PASS fails the test."""
    from harness.plugin.runs import Runs

    runs = Runs(
        folder=_tallystick_folder,
        beside=request.path.parent,
        test=request.node.nodeid,
        seed=request.config.getoption("--tallystick-seed"),
        profile=request.config.getoption("--tallystick-profile"),
    )
    yield runs
    request.node.user_properties.extend((RESULT_PROPERTY, str(path)) for path in runs.kept)
    request.node.user_properties.extend((NOT_TRIED_PROPERTY, line) for line in runs.not_tried)


@pytest.fixture(scope="session")
def _toxic_server(_tallystick_folder: Path) -> Iterator[object]:
    from harness.plugin.toxic import ToxicServer

    server = ToxicServer(_tallystick_folder / "toxiproxy")
    yield server
    server.close()


@pytest.fixture
def toxic_link(_toxic_server: object) -> Iterator[ToxicLinks]:
    """Put a TCP address behind a proxy with faults, as in ``toxic_link("127.0.0.1:5432")``."""
    from harness.plugin.toxic import ToxicLinks, ToxicServer

    assert isinstance(_toxic_server, ToxicServer)
    links = ToxicLinks(_toxic_server)
    yield links
    links.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Let the summary's line of a run that did not pass begin with what happened.

    pytest would put the name of the exception before it, which takes the room of what matters.
    """
    made = yield
    in_short = getattr(call.excinfo and call.excinfo.value, "in_short", None)
    crash = getattr(made.get_result().longrepr, "reprcrash", None)
    if isinstance(in_short, str) and crash is not None:
        crash.message = in_short


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the runs that were kept, and what passed ones did not try; else say nothing."""
    told = [
        (name, value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name in (RESULT_PROPERTY, NOT_TRIED_PROPERTY)
    ]
    if told:
        terminalreporter.section("tallystick")
        for name, value in told:
            terminalreporter.write_line(f"results in {value}" if name == RESULT_PROPERTY else value)
