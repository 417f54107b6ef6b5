"""Which processes a run has started, on disk, so that leftovers of a killed run are found."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from harness.errors import HarnessError
from harness.processes.identity import is_same, look

FILE_NAME = "processes.json"
SCHEMA = "tallystick.processes/1"

GONE_WITHIN_S = 3.0
"""Deadline for a killed leftover to be gone."""

POLL_S = 0.01


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A process that was started; `mark` tells it from a later one with the same pid."""

    name: str
    pid: int
    mark: str


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file: the harness process of the run and what it has started."""

    schema: str = SCHEMA
    run: str
    harness: Entry
    processes: list[Entry] = []


class ProcessTable:
    """Keeps `processes.json` of a run folder. Written whole and put in place by a rename."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / FILE_NAME
        ourselves = look(os.getpid())
        assert ourselves is not None  # We are running.
        self._sheet = Sheet(
            run=run_dir.name,
            harness=Entry(name="harness", pid=os.getpid(), mark=ourselves.mark),
        )
        self._write()

    def add(self, name: str, pid: int) -> None:
        """Note a process that was just started. One that is gone already is left out."""
        seen = look(pid)
        if seen is None:
            return
        entry = Entry(name=name, pid=pid, mark=seen.mark)
        self._replace([*self._sheet.processes, entry])

    def remove(self, pid: int) -> None:
        """Forget a process that is gone."""
        self._replace([entry for entry in self._sheet.processes if entry.pid != pid])

    def alive(self) -> list[Entry]:
        """Return the noted processes that still run."""
        return [entry for entry in self._sheet.processes if is_same(entry.pid, entry.mark)]

    def _replace(self, processes: list[Entry]) -> None:
        self._sheet = msgspec.structs.replace(self._sheet, processes=processes)
        self._write()

    def _write(self) -> None:
        _write(self._path, self._sheet)


def _write(path: Path, sheet: Sheet) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.encode(sheet))
    fresh.replace(path)


def end_leftovers(results: Path) -> list[str]:
    """Kill what killed runs below `results` have left running; return "run/name (pid)" of each.

    Only a process whose pid and start are both as that run wrote them down is touched, and only
    when the harness of that run is gone. Run folders lie in `results` or one folder deeper.

    Raises:
        HarnessError: A leftover could not be ended.
    """
    ended: list[str] = []
    for path in sorted([*results.glob(f"*/{FILE_NAME}"), *results.glob(f"*/*/{FILE_NAME}")]):
        if path.parent.is_symlink():
            continue
        try:
            sheet = msgspec.json.decode(path.read_bytes(), type=Sheet)
        except (msgspec.DecodeError, FileNotFoundError):
            continue
        if not sheet.processes or is_same(sheet.harness.pid, sheet.harness.mark):
            continue
        for entry in sheet.processes:
            if is_same(entry.pid, entry.mark):
                _end(sheet.run, entry)
                ended.append(f"{sheet.run}/{entry.name} ({entry.pid})")
        _write(path, msgspec.structs.replace(sheet, processes=[]))
    return ended


def _end(run: str, entry: Entry) -> None:
    with suppress(ProcessLookupError):
        os.kill(entry.pid, signal.SIGKILL)
    deadline = time.monotonic() + GONE_WITHIN_S
    while is_same(entry.pid, entry.mark):
        if time.monotonic() > deadline:
            raise HarnessError(f"{entry.name} ({entry.pid}) of the killed run {run} does not end")
        time.sleep(POLL_S)
