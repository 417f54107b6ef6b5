"""The disk that loses power when its process is killed keeps what was synced, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from harness.testing.held_disk import HeldVfs
from reference.events import InboxMark, Writes
from reference.store import sqlite
path, level, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sqlite.SYNCHRONOUS = level
vfs = HeldVfs("held")
store = sqlite.SqliteStore(path, vfs=vfs.name)
found = store.recover()
for n in range(count):
    mark = InboxMark(inbox="a", pos_next=n + 1, cursor=-1, session=0, floor=0)
    store.commit(Writes(inboxes=(mark,)))
print(json.dumps([mark.pos_next for mark in found.inboxes]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def live(path: Path, level: str, commits: int) -> list[int]:
    """Let a process recover, commit and be killed; return what it recovered."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), level, str(commits)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    found: list[int] = json.loads(done.stdout)
    return found


def test_what_was_synced_survives(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    assert live(path, "FULL", 7) == []
    assert live(path, "FULL", 0) == [7]


@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
def test_what_was_not_synced_is_gone(tmp_path: Path, level: str) -> None:
    path = tmp_path / "core.db"
    assert live(path, "FULL", 3) == []
    live(path, level, 7)
    assert live(path, "FULL", 0) in ([], [3])


def test_another_process_reads_beside_it_what_was_synced(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    live(path, "FULL", 5)
    with apsw.Connection(str(path)) as db:
        assert list(db.execute("SELECT pos_next FROM inbox")) == [(5,)]
