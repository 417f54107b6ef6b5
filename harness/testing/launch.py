"""Start a node with a planted bug, on a disk that loses power, or with switches for faults inside.

`python -m harness.testing.launch [--older-first FILE] [--switches FILE] [--bug NAME] [--held-disk
SYNC_MS [--power-stays-once]] [--recut] core|edge JSON` takes the place of `python -m
reference.node` and behaves like it, but for what it was told. A bug goes only into the role that
its entry names. The ready line of a node with a bug says so (`"planted_bug": NAME`), and every
result of such a run must repeat it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from harness.errors import HarnessError
from harness.faults.switches import Switches
from harness.testing.bugs.registry import BugGone, Place, PlantedBug, find_bug
from harness.testing.held_disk import HeldVfs
from harness.testing.older import older
from harness.testing.recutting import recut
from harness.testing.switched import SwitchedDisk, shift_clock
from reference.core.machine import CoreMachine
from reference.edge.machine import EdgeMachine
from reference.node.serve import StoreFactory, run_core, run_edge
from reference.node.settings import (
    CoreNodeSettings,
    EdgeNodeSettings,
    SettingsError,
    decode_settings,
)
from reference.store.sqlite import SqliteStore

EXIT_USAGE = 2
"""The arguments, the name of the bug or the settings are wrong."""

BUG_OPTION = "--bug"
"""The word before the name of a bug; runs that were not asked for by the self-test refuse it."""

DISK_OPTION = "--held-disk"
"""The word before the milliseconds of a sync, of a core on a disk that loses power at a kill."""

STAYS_OPTION = "--power-stays-once"
"""The word for a held disk that loses power at every kill of its core but the first."""

SWITCHES_OPTION = "--switches"
"""The word before the file of switches (`harness.faults.switches`) that the node is to obey."""

OLDER_OPTION = "--older-first"
"""The word before the file by which a node knows that it was started before: the first time it is
one of the version before, later one of this version."""

RECUT_OPTION = "--recut"
"""The word for edges that cut what they send again otherwise (`harness.testing.recutting`)."""

USAGE = (
    f"usage: python -m harness.testing.launch [{OLDER_OPTION} FILE] [{SWITCHES_OPTION} FILE] "
    f"[{BUG_OPTION} NAME] [{DISK_OPTION} SYNC_MS [{STAYS_OPTION}]] [{RECUT_OPTION}] core|edge "
    "'<json settings>'; a disk obeys switches or is held"
)


class SayingSo:
    """Standard output of the node; sees the ready line, and adds a bug's name to it."""

    def __init__(self, out: TextIO, bug: str, on_ready: Callable[[], None]) -> None:
        self._out = out
        self._bug = bug
        self._on_ready = on_ready

    def write(self, text: str) -> int:
        """Write, and say that a bug is planted where the node says that it is ready."""
        if text.startswith("ready "):
            self._on_ready()
            if self._bug:
                about = {**json.loads(text.removeprefix("ready ")), "planted_bug": self._bug}
                text = f"ready {json.dumps(about)}\n"
        return self._out.write(text)

    def flush(self) -> None:
        """Pass what was written on."""
        self._out.flush()


@dataclass(slots=True, kw_only=True)
class Order:
    """What the arguments ask for."""

    role: Place
    settings: str
    bug: PlantedBug | None = None
    store: StoreFactory = SqliteStore
    switches: Switches | None = None
    started_before: Path | None = None
    recut: bool = False

    def is_first_start(self) -> bool:
        """Tell whether the node is to be one of the version before, and remember that it was."""
        if self.started_before is None or self.started_before.exists():
            return False
        self.started_before.touch()
        return True


def read_order(arguments: Sequence[str]) -> Order:
    """Return what the arguments ask for.

    Raises:
        SettingsError: They are wrong; says how they are written.
        KeyError: There is no such bug.
    """
    match arguments:
        case ["core" | "edge" as role, text]:
            return Order(role=Place(role), settings=text)
        case ["--bug", name, *rest]:
            order = read_order(rest)
            bug = find_bug(name)
            order.bug = bug if bug.place is order.role else None
            return order
        case ["--held-disk", milliseconds, "--power-stays-once", *rest] if milliseconds.isdecimal():
            order = read_order(rest)
            order.store = _on_held_disk(int(milliseconds), stays_once=True)
            return order
        case ["--held-disk", milliseconds, *rest] if milliseconds.isdecimal():
            order = read_order(rest)
            order.store = _on_held_disk(int(milliseconds), stays_once=False)
            return order
        case ["--recut", *rest]:
            order = read_order(rest)
            order.recut = True
            return order
        case ["--older-first", path, *rest]:
            order = read_order(rest)
            order.started_before = Path(path)
            return order
        case ["--switches", path, *rest] if DISK_OPTION not in rest:
            order = read_order(rest)
            order.switches = Switches(Path(path))
            return order
        case _:
            raise SettingsError(USAGE)


def _on_held_disk(sync_ms: int, *, stays_once: bool) -> StoreFactory:
    vfs = HeldVfs("held", sync_ms=sync_ms)

    def open_store(path: Path) -> SqliteStore:
        if stays_once:
            starts = path.with_name(f"{path.name}-starts")
            before = starts.stat().st_size if starts.exists() else 0
            starts.write_bytes(bytes(before + 1))
            vfs.power_lost = before != 1
        return SqliteStore(path, vfs=vfs.name)

    return open_store


def carry_out(order: Order) -> int:
    """Run the node to its end; return the exit code.

    Raises:
        SettingsError: Its settings are wrong.
        BugGone: The part that the bug replaces is there no longer.
    """
    bug = order.bug
    disk = None
    if order.recut:
        recut()
    if order.switches is not None:
        shift_clock(order.switches)
        disk = SwitchedDisk(order.switches)
        order.store = disk.open_store
    if bug is not None or disk is not None:
        name = "" if bug is None else bug.name
        sys.stdout = SayingSo(sys.stdout, name, _do_nothing if disk is None else disk.ready)
    with ExitStack() as changes:
        if order.is_first_start():
            changes.enter_context(older())
        if bug is not None:
            changes.enter_context(bug.planted())
        match order.role:
            case Place.CORE:
                core = CoreMachine if bug is None else bug.core
                settings = decode_settings(order.settings, CoreNodeSettings)
                return run_core(settings, machine_factory=core, store_factory=order.store)
            case _:
                edge = EdgeMachine if bug is None else bug.edge
                return run_edge(decode_settings(order.settings, EdgeNodeSettings), edge)


def _do_nothing() -> None:
    """Nobody waits for the node to be ready."""


def main(arguments: list[str]) -> int:
    """Run the node that the arguments ask for; return the exit code."""
    try:
        return carry_out(read_order(arguments))
    except (SettingsError, KeyError, BugGone, HarnessError) as error:
        sys.stderr.write(f"harness.testing.launch: {error.args[0]}\n")
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
