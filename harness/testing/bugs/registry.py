"""What a planted bug is, and where to find them all."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import harness.testing.bugs
from harness.testing.simulator.actors import SenderLike
from harness.testing.simulator.nodes import Machine
from harness.testing.simulator.plan import Action
from harness.testing.simulator.world import Factories
from reference.client.sender import SenderMachine, SenderSettings
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings
from reference.events import Recovered


class Shown(StrEnum):
    """Where a bug can be seen."""

    SIMULATOR = "simulator"
    REAL_RUN = "real run"
    VFS = "vfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A function of a module that another takes the place of."""

    module: Any
    name: str
    replacement: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBug:
    """A bug and how to put it in.

    Attributes:
        summary: What is wrong, in one sentence.
        replaces: What of the reference it takes the place of.
        named_by: Checks of which at least one must fail; the first says best what is wrong.
        shown_in: Where it can be seen.
        focus: Steps that it takes; the simulator tries only these and sends, to find it soon.
        seeds: With them it is found within so many seeds, counted from 0.
        make_sender: Returns a new factory of senders, with a memory for one run.
    """

    name: str
    summary: str
    replaces: str
    named_by: tuple[str, ...]
    shown_in: frozenset[Shown]
    focus: tuple[Action, ...] = ()
    seeds: int = 40
    core: Callable[[CoreSettings, Recovered], Machine] = CoreMachine
    edge: Callable[[EdgeSettings], Machine] = EdgeMachine
    make_sender: Callable[[], Callable[[SenderSettings], SenderLike]] = lambda: SenderMachine
    patches: tuple[Patch, ...] = field(default=())

    def factories(self) -> Factories:
        """Return what makes the machines of one simulation."""
        return Factories(core=self.core, edge=self.edge, sender=self.make_sender())

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Put the replaced functions in, and take them out again at the end."""
        real = [(p.module, p.name, getattr(p.module, p.name)) for p in self.patches]
        try:
            for patch in self.patches:
                setattr(patch.module, patch.name, patch.replacement)
            yield
        finally:
            for module, name, function in real:
                setattr(module, name, function)


def all_bugs() -> dict[str, PlantedBug]:
    """Return every planted bug by name: each file of this package but this one holds a `BUG`."""
    found: dict[str, PlantedBug] = {}
    for module in pkgutil.iter_modules(harness.testing.bugs.__path__):
        if module.name != "registry":
            bug = importlib.import_module(f"{harness.testing.bugs.__name__}.{module.name}").BUG
            found[bug.name] = bug
    return found


def find_bug(name: str) -> PlantedBug:
    """Return the bug of a name; dashes and underscores are alike.

    Raises:
        KeyError: There is none; the text names all.
    """
    bugs = all_bugs()
    try:
        return bugs[name.replace("_", "-")]
    except KeyError:
        raise KeyError(f"no planted bug {name!r}; there are {', '.join(sorted(bugs))}") from None
