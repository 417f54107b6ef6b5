"""Where things lie: the checkout, the cache, and the lock that makes two set-ups take turns."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from harness.errors import SetupError

Progress: TypeAlias = Callable[[str], None]
"""Takes one line for the person who waits."""

LOCK_WAIT_S: Final = 1_800.0
"""How long a second set-up waits for the first; a first set-up takes one to three minutes."""

LOCK_POLL_S: Final = 0.1
"""Time between two looks at a taken lock."""


def checkout_root() -> Path | None:
    """Return the project folder when this code runs from a checkout, None when installed.

    A wheel inside a user's own repository must not take that repository for ours, so the folder
    above this package counts only with our own `pyproject.toml` in it.
    """
    root = Path(__file__).resolve().parents[2]
    project = root / "pyproject.toml"
    if project.is_file() and 'name = "tallystick"' in project.read_text(encoding="utf-8"):
        return root
    return None


def cache_folder() -> Path:
    """Return the folder for what is built once; it may not exist yet.

    `$TALLYSTICK_CACHE` comes first, then `.cache/` of the checkout, then the user's own cache.
    """
    named = os.environ.get("TALLYSTICK_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    root = checkout_root()
    if root is not None and os.access(root, os.W_OK):
        return root / ".cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tallystick"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tallystick"


@contextmanager
def exclusive(lock_file: Path, progress: Progress, *, wait_s: float = LOCK_WAIT_S) -> Iterator[int]:
    """Hold a lock between processes while the body runs; say so once when it must be waited for.

    The kernel drops the lock when its last holder ends, however that happens. The lock's file
    descriptor is yielded so that a child can be made a holder too (`pass_fds`).

    Raises:
        SetupError: The folder cannot be written, or the lock stayed taken for `wait_s` seconds.
    """
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SetupError(f"cannot write {lock_file.parent}: {error.strerror}") from error
    try:
        deadline = time.monotonic() + wait_s
        said = False
        while not _try_lock(descriptor):
            if not said:
                progress(f"another set-up holds {lock_file}; waiting for it to finish")
                said = True
            if time.monotonic() >= deadline:
                raise SetupError(
                    f"another set-up has held {lock_file} for {wait_s:.0f} s; end it and try again"
                )
            time.sleep(LOCK_POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
