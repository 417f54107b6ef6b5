"""What a run makes at a user's server, how its names begin, and whether that run is still alive.

Names begin with ``tallystick``, a separator and the run's own id, so that nobody else's are
touched. A run holds a lock for as long as it lives, which the kernel lets go of however it ends:
on this machine it is known for certain whether a run is under way, on others it is not.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol, runtime_checkable

from harness.errors import HarnessError
from harness.systems.broker.settings import Endpoint

_RUN_BYTES = 6
_NAME = re.compile(r"tallystick([_:-])([0-9a-f]{12})\1.*", re.DOTALL)


def new_prefix(separator: str) -> str:
    """Return how the names of a new run begin; nobody has had that before."""
    return f"tallystick{separator}{token_hex(_RUN_BYTES)}{separator}"


def run_of(name: str) -> str:
    """Return the id of the run that a name belongs to, "" if it is not one of ours."""
    found = _NAME.fullmatch(name)
    return found[2] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing at the server that a run has made.

    Attributes:
        kind: "stream", "key-value bucket", "key", "topic", "consumer group".
        name: As the server has it.
        run: The run's id.
        messages: How many it holds, None where that is not asked.
        size_bytes: What it takes, None likewise.
        unchanged_s: How long ago it was changed, None likewise.
    """

    kind: str
    name: str
    run: str
    messages: int | None = None
    size_bytes: int | None = None
    unchanged_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaner:
    """How to find and remove what runs have left at an endpoint.

    `find` and `remove` are called with what clients need to know and the port of a proxy; both
    raise `Unavailable`. `remove` takes what `find` has returned, and removes nothing else.
    """

    endpoint: Endpoint
    connect: Mapping[str, Any]
    find: Callable[[Mapping[str, Any], int], Awaitable[list[Leftover]]]
    remove: Callable[[Mapping[str, Any], int, Sequence[Leftover]], Awaitable[None]]


@runtime_checkable
class Cleanable(Protocol):
    """A system whose endpoints can be cleaned."""

    def cleaner(self) -> Cleaner | None:
        """Return how, None without an endpoint."""


class Life(StrEnum):
    """What is known of a run."""

    ALIVE = "under way"
    DEAD = "killed"
    UNKNOWN = "of another machine, or long ago"


class RunLock:
    """Says to everybody on this machine that a run is alive. Made by `hold`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def hold(cls, run: str) -> RunLock:
        """Take the lock of a run.

        Raises:
            HarnessError: The folder of the locks cannot be written to.
        """
        path = _folder() / run
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HarnessError(
                f"{path} cannot be locked ({error.strerror}): without it `tallystick clean` could"
                " take this run for a dead one; set TMPDIR to a folder of your own"
            ) from error
        return cls(path, descriptor)

    def release(self, *, removed: bool) -> None:
        """Let go of it; `removed`: nothing of the run is left, so it need not be known."""
        if removed:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def life_of(run: str) -> Life:
    """Return what this machine knows of a run."""
    try:
        descriptor = os.open(_folder() / run, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return Life.UNKNOWN
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Life.ALIVE
    finally:
        os.close(descriptor)
    return Life.DEAD


def forget_run(run: str) -> None:
    """Remove the lock that a dead run has left."""
    (_folder() / run).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"tallystick-runs-{os.getuid()}"
