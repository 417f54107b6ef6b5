"""Start a node with a planted bug, on a disk that loses power, or both.

`python -m harness.testing.launch [--bug NAME] [--held-disk SYNC_MS] core|edge JSON` takes the place
of `python -m reference.node` and behaves like it, but for what it was told. A bug goes only into
the role that its entry names. The ready line of a node with a bug says so (`"planted_bug": NAME`),
and every result of such a run must repeat it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from harness.testing.bugs.registry import BugGone, Place, PlantedBug, find_bug
from harness.testing.held_disk import HeldVfs
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

USAGE = (
    f"usage: python -m harness.testing.launch [{BUG_OPTION} NAME] [{DISK_OPTION} SYNC_MS] "
    "core|edge '<json settings>'"
)


class SayingSo:
    """Standard output of the node; adds the bug's name to the ready line."""

    def __init__(self, out: TextIO, bug: str) -> None:
        self._out = out
        self._bug = bug

    def write(self, text: str) -> int:
        """Write, and say that a bug is planted where the node says that it is ready."""
        if text.startswith("ready "):
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
        case ["--held-disk", milliseconds, *rest] if milliseconds.isdecimal():
            order = read_order(rest)
            order.store = _on_held_disk(int(milliseconds))
            return order
        case _:
            raise SettingsError(USAGE)


def _on_held_disk(sync_ms: int) -> StoreFactory:
    vfs = HeldVfs("held", sync_ms=sync_ms)

    def open_store(path: Path) -> SqliteStore:
        return SqliteStore(path, vfs=vfs.name)

    return open_store


def carry_out(order: Order) -> int:
    """Run the node to its end; return the exit code.

    Raises:
        SettingsError: Its settings are wrong.
        BugGone: The part that the bug replaces is there no longer.
    """
    bug = order.bug
    if bug is not None:
        sys.stdout = SayingSo(sys.stdout, bug.name)
    with nullcontext() if bug is None else bug.planted():
        match order.role:
            case Place.CORE:
                core = CoreMachine if bug is None else bug.core
                settings = decode_settings(order.settings, CoreNodeSettings)
                return run_core(settings, machine_factory=core, store_factory=order.store)
            case _:
                edge = EdgeMachine if bug is None else bug.edge
                return run_edge(decode_settings(order.settings, EdgeNodeSettings), edge)


def main(arguments: list[str]) -> int:
    """Run the node that the arguments ask for; return the exit code."""
    try:
        return carry_out(read_order(arguments))
    except (SettingsError, KeyError, BugGone) as error:
        sys.stderr.write(f"harness.testing.launch: {error.args[0]}\n")
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
