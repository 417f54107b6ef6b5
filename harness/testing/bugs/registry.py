"""What a planted bug is, and where to find them all."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
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


class Category(StrEnum):
    """What kind of promise a bug breaks."""

    LOSS = "loss"
    DUPLICATE = "duplicate"
    ORDER = "order"
    BUCKET = "bucket"
    EPOCH = "epoch"
    CURSOR = "cursor"
    PRESENCE = "presence"
    CONTENT = "content"
    BACKPRESSURE = "backpressure"


class Place(StrEnum):
    """The process that a bug is put into: a node, or the load processes with their clients."""

    CORE = "core"
    EDGE = "edge"
    CLIENT = "client"


class Medium(StrEnum):
    """What it takes to see a bug.

    A SIGKILL leaves what was written and not synced in the kernel's page cache; a disk that keeps
    it in the core's memory (`harness.testing.held_disk`) loses it, as a power failure does.
    """

    PROCESSES = "real processes"
    POWER_LOSS = "over a disk that loses power"


class BugGone(Exception):
    """Raised when the part that a bug replaces is there no longer, or takes other arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A function, method or value that another takes the place of.

    Attributes:
        owner: The module or class that holds it.
        name: Its name there.
        replacement: What is put there; a function takes the same arguments as the real one.
    """

    owner: Any
    name: str
    replacement: Any

    def real(self) -> Any:
        """Return what is there now.

        Raises:
            BugGone: Nothing, or something that is called otherwise than the replacement.
        """
        where = f"{self.owner.__name__}.{self.name}"
        if self.name not in vars(self.owner):
            raise BugGone(f"{where} is there no longer; the bug that replaces it has no place")
        found = vars(self.owner)[self.name]
        if callable(found) is not callable(self.replacement):
            raise BugGone(f"{where} is now a {type(found).__name__}")
        if callable(found):
            takes, given = _arguments(found), _arguments(self.replacement)
            if takes != given:
                raise BugGone(f"{where} takes {takes}, its replacement {given}")
        return found


def _arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The smallest scenario that finds a bug, and its parameters.

    `scenario` is its name in `harness.selftest.scenarios`, or what `tallystick run` takes.
    """

    scenario: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in self.settings.items()]
        return " ".join([self.scenario, *words])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedBug:
    """A bug, how to put it in, and how it is found.

    Attributes:
        name: Words joined by dashes; the file has underscores.
        summary: What is wrong, in one sentence.
        category: What kind of promise it breaks.
        place: The process that it goes into.
        replaces: What of the reference it takes the place of.
        named_by: Checks of which at least one must fail, each of them specific to what is wrong;
            the first says best what it is.
        trial: The smallest scenario over real processes that finds it.
        medium: What it takes to see it there.
        focus: Steps that it takes in the simulator, which tries only these and sends, to find it
            soon; empty: it is not tried there.
        seeds: With them the simulator finds it within so many seeds, counted from 0.
        make_sender: Returns a new factory of senders, with a memory for one simulation.
        patches: What is replaced in the process, or in the simulator's.
    """

    name: str
    summary: str
    category: Category
    place: Place = Place.CORE
    replaces: str
    named_by: tuple[str, ...]
    trial: Trial
    medium: Medium = Medium.PROCESSES
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
        """Put the replaced parts in, and take them out again at the end.

        Raises:
            BugGone: A part is there no longer.
        """
        real = [(patch, patch.real()) for patch in self.patches]
        try:
            for patch, _ in real:
                setattr(patch.owner, patch.name, patch.replacement)
            yield
        finally:
            for patch, found in real:
                setattr(patch.owner, patch.name, found)


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
