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
from harness.testing import held_disk
from harness.testing.held_disk import HeldVfs
from reference.events import InboxMark, Writes
from reference.store import sqlite
from reference.store.port import take_over
path, level, count, power = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
sqlite.SYNCHRONOUS = "FULL" if level == "KILLED" else level
vfs = HeldVfs("held", power_lost=power == "lost")
store = sqlite.SqliteStore(path, vfs=vfs.name)
found = take_over(store)
for n in range(count):
    if level == "KILLED" and n == count - 1:
        held_disk._Held.sync = lambda _held: os.kill(os.getpid(), signal.SIGKILL)
        print("[]", flush=True)
    mark = InboxMark(inbox="a", pos_next=0, cursor=-1, session=n + 1, floor=0)
    store.commit(Writes(inboxes=(mark,)))
print(json.dumps([mark.session for mark in found.inboxes]), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def live(path: Path, level: str, commits: int, power: str = "lost") -> list[int]:
    """Let a process recover, commit and be killed; return what it recovered.

    At level KILLED the last of the commits is killed in the sync. `power` says whether it was
    "lost" or "stayed" before the process.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), level, str(commits), power],
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


def test_a_kill_in_a_sync_leaves_the_commit_to_the_next_process_but_not_to_the_disk(
    tmp_path: Path,
) -> None:
    path = tmp_path / "core.db"
    live(path, "FULL", 3)
    live(path, "KILLED", 4, "stayed")
    assert Path(f"{path}-wal-unsynced").stat().st_size > 0
    assert live(path, "FULL", 0, "lost") == [3]


def test_what_a_process_shows_of_another_that_was_killed_survives(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    live(path, "FULL", 3)
    live(path, "KILLED", 4, "stayed")
    assert live(path, "FULL", 0, "stayed") == [4]
    assert live(path, "FULL", 0, "lost") == [4]


def test_another_process_reads_beside_it_what_was_synced(tmp_path: Path) -> None:
    path = tmp_path / "core.db"
    live(path, "FULL", 5)
    with apsw.Connection(str(path)) as db:
        assert list(db.execute("SELECT session FROM inbox")) == [(5,)]
