"""Leftovers of killed runs are found and ended, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.processes.identity import is_same, look
from harness.processes.table import FILE_NAME, Entry, ProcessTable, Sheet, end_leftovers


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


def write(folder: Path, *, harness_mark: str, entry: Entry) -> None:
    folder.mkdir(parents=True)
    sheet = Sheet(
        run=folder.name,
        harness=Entry(name="harness", pid=1, mark=harness_mark),
        processes=[entry],
    )
    (folder / FILE_NAME).write_bytes(msgspec.json.encode(sheet))


def mark_of(pid: int) -> str:
    seen = look(pid)
    assert seen is not None
    return seen.mark


@pytest.mark.parametrize("folder", ["a-run", "a-suite/a-run"])
def test_what_a_killed_run_left_is_ended_once(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], folder: str
) -> None:
    entry = Entry(name="core", pid=sleeper.pid, mark=mark_of(sleeper.pid))
    write(tmp_path / folder, harness_mark="long gone", entry=entry)
    assert end_leftovers(tmp_path) == [f"a-run/core ({sleeper.pid})"]
    assert sleeper.wait(5) == -9
    assert end_leftovers(tmp_path) == []


def test_a_reused_pid_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    entry = Entry(name="core", pid=sleeper.pid, mark="an earlier process")
    write(tmp_path / "a-run", harness_mark="long gone", entry=entry)
    assert end_leftovers(tmp_path) == []
    assert sleeper.poll() is None


def test_a_run_whose_harness_lives_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "a-run").mkdir()
    table = ProcessTable(tmp_path / "a-run")
    table.add("core", sleeper.pid)
    assert end_leftovers(tmp_path) == []
    assert sleeper.poll() is None
    assert [entry.pid for entry in table.alive()] == [sleeper.pid]


def test_damaged_files_and_absent_folders_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a-run").mkdir()
    (tmp_path / "a-run" / FILE_NAME).write_text("{")
    assert end_leftovers(tmp_path) == []
    assert end_leftovers(tmp_path / "absent") == []


def test_a_process_is_the_same_only_with_its_mark(sleeper: subprocess.Popen[bytes]) -> None:
    mark = mark_of(sleeper.pid)
    assert is_same(sleeper.pid, mark)
    assert not is_same(sleeper.pid, mark + "0")
    sleeper.kill()
    sleeper.wait()
    assert not is_same(sleeper.pid, mark)
