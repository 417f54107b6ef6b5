"""The launcher puts a planted bug into a real node, and the node says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.systems.reference.deployment import planted_bug

pytestmark = pytest.mark.integration

PROGRAM = ("-m", "harness.testing.launch")


def launch(*arguments: str) -> tuple[int, str, str]:
    """Run the launcher with its standard input at its end, so that a node stops at once."""
    done = subprocess.run(
        [sys.executable, *PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("bug", ["wrong-bucket", "no_dedup", "acknowledge-before-commit"])
def test_the_ready_line_names_the_bug(tmp_path: Path, bug: str) -> None:
    settings = {"database": str(tmp_path / "core.db"), "core": {}, "lifeline": True}
    process = subprocess.Popen(
        [sys.executable, *PROGRAM, "--bug", bug, "core", json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        # Its lifeline ends: it stops by itself.
        process.communicate(timeout=30)
    assert planted_bug([line]) == bug.replace("_", "-")
    assert json.loads(line.removeprefix("ready "))["role"] == "core"


def test_an_honest_ready_line_names_none() -> None:
    assert planted_bug(['ready {"role": "core", "port": 1, "pid": 2}', ""]) is None


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--bug", "no-such-bug", "core", "{}"), "wrong-bucket"),
        (("--bug", "no-dedup", "gateway", "{}"), "usage"),
        ((), "usage"),
        (("--bug", "no-dedup", "core", "{}"), "core"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: tuple[str, ...], word: str) -> None:
    code, out, err = launch(*arguments)
    assert (code, out) == (2, "")
    assert word in err
