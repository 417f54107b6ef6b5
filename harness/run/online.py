"""The states of the checks while a run goes on: the fold of the verdict, over files that grow.

It runs in a process of its own, at the lowest priority and for a tenth of the time at most, so it
takes neither the harness' time nor its lock; at the end it is killed without asking. What it shows
is what the records so far amount to. The verdict is folded anew from the whole files; nothing that
happens here can change it or hold it up.

``python -m harness.run.online RUN_DIR`` prints one line of JSON per round and ends with its
standard input.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from harness.checkers.fold import Fold
from harness.errors import DamagedHistory
from harness.history.reader import Tail
from harness.processes.environment import child_environment
from harness.processes.python import python_argv
from harness.processes.table import ProcessTable
from harness.run.aftermath import Aftermath
from harness.run.brief import read_brief
from harness.run.judge import HISTORY_FOLDER, facts_of

PAUSE_FACTOR = 9
"""It rests for this many times as long as a round took: watching costs a tenth of one core."""

PAUSE_S_MIN = 1.0
"""It rests for so long at least."""

ROUND_S_MAX = 20.0
"""A round that takes longer is the last: its states would be minutes old."""

NICENESS = 19

LINE_BYTES_MAX = 1 << 16
"""Longest line that is read from it."""


class CheckStates(msgspec.Struct, frozen=True):
    """What the checks amount to, by id, from the records up to a time of the run (s)."""

    states: dict[str, str] = {}
    upto_s: float = 0.0


async def follow(run_dir: Path, table: ProcessTable, show: Callable[[CheckStates], object]) -> None:
    """Show the states of the checks until cancelled, or until the process gives up.

    However it ends, its process is killed before this returns. Its trouble is in ``online.log`` and
    never the run's.
    """
    with (run_dir / "logs" / "online.log").open("ab") as log:
        process = await anyio.open_process(
            python_argv("harness.run.online", str(run_dir)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=child_environment(),
            start_new_session=True,
        )
    table.add("online", process.pid)
    try:
        assert process.stdout is not None  # It is opened with a pipe.
        held = b""
        async for chunk in process.stdout:
            *lines, held = (held + chunk).split(b"\n")
            if lines:
                show(msgspec.json.decode(lines[-1], type=CheckStates))
            if len(held) > LINE_BYTES_MAX:
                return
    finally:
        process.kill()
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
        table.remove(process.pid)


def main() -> None:
    """Follow the run in the folder given as the first argument."""
    run_dir = Path(sys.argv[1])
    os.nice(NICENESS)
    fold = Fold(facts_of(read_brief(run_dir), Aftermath(), torn=True))
    tail = Tail(run_dir / HISTORY_FOLDER)
    upto_ns = 0
    took_s = 0.0
    while took_s <= ROUND_S_MAX and not _told_to_end(max(PAUSE_S_MIN, PAUSE_FACTOR * took_s)):
        begun_s = time.monotonic()
        try:
            for record in tail.poll():
                fold.take(record)
                upto_ns = record.t_ns
        except DamagedHistory as error:
            sys.exit(str(error))
        told = {"states": fold.states(), "upto_s": upto_ns / 1e9}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        took_s = time.monotonic() - begun_s


def _told_to_end(within_s: float) -> bool:
    """Rest; say whether standard input ended meanwhile, as it does with the harness."""
    ready, _, _ = select.select([sys.stdin], [], [], within_s)
    return bool(ready)


if __name__ == "__main__":
    main()
