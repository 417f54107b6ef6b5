"""Every value of a result and of a suite is made again by `check`, or known to be told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli.check import check_files
from harness.cli.main import run_cli
from harness.errors import HarnessError
from harness.report.codec import decode_result, decode_suite
from harness.report.result import Result, Status, Suite
from harness.run.aftermath import HARNESS_ROLE
from harness.run.recheck import TOLD, differences, judge_again
from harness.run.recheck_suite import TOLD_OF_SUITE, suite_differences
from harness.testing.forging import make_run, make_suite
from harness.testing.leaves import (
    at,
    changed,
    containers,
    leaves,
    plain,
    put,
    schema_path,
    schema_paths,
)

READ_AGAIN = frozenset(
    {"findings", "faults", "processes", "coverage", "system", "senders", "bound", "run"}
)
"""Parts of a stored result that judging it again rests on; for others that is done once."""

NOT_HERE = {
    "coverage[].forwarded", "environment.toxiproxy.source",
}  # fmt: skip

DECIDE = (
    "give it a value in harness/testing/forging.py; then decide: let harness/run/recheck.py make it"
    " again from the history or the schedule (what the runner alone knows it writes down by"
    " `Aftermath.parts`), or say in `TOLD` there, and in docs/invariants.md, that it is told"
)
STATUSES = (Status.PASS, Status.FAIL, Status.UNKNOWN)


@dataclass(slots=True)
class Walk:
    """Which values were changed, and which of them nobody noticed."""

    walked: set[str] = field(default_factory=set)
    unnoticed: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaves")
    for status in STATUSES:
        make_run(folder / status.value, status)
    return folder


def is_result(tree: Any) -> bool:
    try:
        msgspec.convert(tree, Result)
    except msgspec.ValidationError:
        return False
    return True


def is_noticed(run_dir: Path, tree: Any, again: Result, part: str) -> bool:
    """Say whether `check` would disbelieve a result, its pages written anew by who changed it."""
    result = msgspec.convert(tree, Result)
    if not result.complete:
        return True
    try:
        check_files(run_dir, result.artifacts)
        if part in READ_AGAIN:
            again = judge_again(run_dir, result)
        return bool(differences(run_dir, result, again))
    except HarnessError:
        return True


def forged(tree: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the place and the whole of each result with one value changed, dropped or doubled."""
    for path in leaves(tree):
        yield path, changed(tree, path, is_result)
    for path in containers(tree):
        held = at(tree, path)
        yield path, put(tree, path, held[1:])
        yield path, put(tree, path, [*held, held[-1]])


def told_as(tree: Any, path: tuple[Any, ...]) -> str:
    """Return the name in `TOLD` of a place."""
    if (
        path[0] == "processes"
        and len(path) > 1
        and tree["processes"][path[1]]["role"] == HARNESS_ROLE
    ):
        return "processes[harness]"
    return schema_path(Result, path)


@pytest.fixture(scope="module")
def walks(folder: Path) -> dict[Status, Walk]:
    walks = {}
    for status in STATUSES:
        run_dir = folder / status.value
        stored = decode_result((run_dir / "result.json").read_bytes())
        again, tree = judge_again(run_dir, stored), plain(stored)
        assert differences(run_dir, stored, again) == []
        walks[status] = walk = Walk()
        for path, other in forged(tree):
            assert other != tree, path
            walk.walked.add(schema_path(Result, path))
            if not is_noticed(run_dir, other, again, str(path[0])):
                walk.unnoticed.add(told_as(tree, path))
    return walks


@pytest.mark.parametrize("status", STATUSES)
def test_each_value_is_made_again_or_known_to_be_told(
    status: Status, walks: dict[Status, Walk]
) -> None:
    undecided = sorted(walks[status].unnoticed - TOLD.keys())
    assert not undecided, f"check does not notice another value of {undecided}: {DECIDE}"


def test_no_value_is_left_out(walks: dict[Status, Walk]) -> None:
    walked = set().union(*(walk.walked for walk in walks.values()))
    left = sorted(schema_paths(Result) - walked)
    assert not left, f"no run here has a value of {left}: {DECIDE}"


@pytest.mark.parametrize("status", STATUSES)
def test_an_untouched_run_is_believed(status: Status, folder: Path) -> None:
    assert (
        run_cli(["check", str(folder / status.value)])
        == {"PASS": 0, "FAIL": 1, "UNKNOWN": 3}[status]
    )


# Suites


@pytest.fixture(scope="module")
def suite_dir(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("suites") / "suite"
    make_suite(place, [folder / status.value for status in STATUSES])
    return place


def is_suite(tree: Any) -> bool:
    try:
        msgspec.convert(tree, Suite)
    except msgspec.ValidationError:
        return False
    return True


def test_each_value_of_a_suite_is_made_again_or_known_to_be_told(suite_dir: Path) -> None:
    suite = decode_suite((suite_dir / "suite.json").read_bytes())
    results = {
        row.result: decode_result((suite_dir / row.result).read_bytes()) for row in suite.scenarios
    }
    tree = plain(suite)
    assert suite_differences(suite_dir, suite, results) == []
    walked, unnoticed = set(), set()
    for path, other in forged_suite(tree):
        walked.add(schema_path(Suite, path))
        changed_suite = msgspec.convert(other, Suite)
        if changed_suite.complete and not suite_differences(suite_dir, changed_suite, results):
            unnoticed.add(path[0])
    # Any version of the format may have been written; what it has is compared.
    assert unnoticed - {"schema"} == set(TOLD_OF_SUITE), DECIDE
    assert schema_paths(Suite) - walked == set(), DECIDE


def forged_suite(tree: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for path in leaves(tree):
        yield path, changed(tree, path, is_suite)
    for path in containers(tree):
        held = at(tree, path)
        yield path, put(tree, path, held[1:])
        yield path, put(tree, path, [*held, held[-1]])


def test_an_untouched_suite_is_believed_and_what_is_told_is_named(suite_dir: Path, capsys) -> None:
    assert run_cli(["check", str(suite_dir)]) == 1
    told = capsys.readouterr().out
    assert "told, and held against nothing" in told
    assert "what was left out, and why" in told
