"""The project's virtual environment: made once, checked in milliseconds, mended when half made.

It runs before any package is installed, under whatever Python >= 3.11 the scripts found.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from harness.errors import SetupError
from harness.provision.commands import run_tool
from harness.provision.places import Progress, exclusive

STAMP: Final = "tallystick-stamp"
"""File in the environment that names what it was made from; it is written last."""

BUILDING: Final = "tallystick-building"
"""File in the environment while we change it. Found later, it tells of an interrupted set-up."""

PYTHON_MIN: Final = (3, 11)
"""The oldest Python that runs the project."""

CREATE_TIMEOUT_S: Final = 300.0
"""The longest that making an empty environment may take."""

INSTALL_TIMEOUT_S: Final = 1_200.0
"""The longest that one call of pip may take, on a slow line."""

_PROBE: Final = "import sys; print('%d.%d' % sys.version_info[:2])"


def ensure_venv(root: Path, progress: Progress) -> Path:
    """Return the Python of `.venv` in the project folder, with all pinned packages installed.

    An environment whose stamp still fits is taken as it is. One that an interrupted set-up left is
    made anew; one that somebody made by hand is kept and the packages are installed into it.

    Raises:
        SetupError: The environment could not be made; the message says what to do.
    """
    python = root / ".venv" / "bin" / "python"
    if _is_ready(root):
        return python
    with exclusive(root / ".cache" / "setup.lock", progress) as lock:
        if _is_ready(root):
            return python
        _make(root, progress, lock)
    return python


def stamp_of(root: Path) -> str:
    """Return the name of what the environment is made from; a change of it calls for a new one.

    `pyvenv.cfg` names the Python that the environment has. The folder is part of it too, since an
    editable install holds the folder's path.

    Raises:
        OSError: One of the files cannot be read.
    """
    digest = hashlib.sha256(str(root).encode())
    for name in ("pyproject.toml", "constraints.txt", ".venv/pyvenv.cfg"):
        digest.update(hashlib.sha256((root / name).read_bytes()).digest())
    return f"1 {digest.hexdigest()}\n"


def _is_ready(root: Path) -> bool:
    venv = root / ".venv"
    try:
        fits = (venv / STAMP).read_text(encoding="utf-8") == stamp_of(root)
        config = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    # `PYTHON=python3.13` after a set-up with 3.11 must not be ignored.
    asked = f"version = {_ours()}." if os.environ.get("PYTHON") else ""
    usable = (venv / "bin" / "python").exists() and not (venv / BUILDING).exists()
    return fits and usable and asked in config


def _make(root: Path, progress: Progress, lock: int) -> None:
    venv = root / ".venv"
    python = venv / "bin" / "python"
    if (venv / BUILDING).exists():
        progress("an earlier set-up was interrupted; making .venv anew")
        _remove(venv)
    elif venv.exists() and not _fits(python):
        progress("the Python in .venv is missing or another than asked for; making .venv anew")
        _remove(venv)
    created = not venv.exists()
    try:
        venv.mkdir(exist_ok=True)
        (venv / BUILDING).touch()
    except OSError as error:
        raise SetupError(f"cannot write {venv}: {error.strerror}") from error
    if created:
        progress(f"making .venv with Python {platform.python_version()}")
        # A running environment's Python names its base; an environment made from an environment
        # would otherwise depend on the one that may just have been removed.
        base = getattr(sys, "_base_executable", None) or sys.executable
        run_tool(
            [base, "-m", "venv", venv],
            what="making .venv",
            timeout_s=CREATE_TIMEOUT_S,
            pass_fds=[lock],
        )
    _install(root, python, progress, lock)
    (venv / STAMP).write_text(stamp_of(root), encoding="utf-8")
    (venv / BUILDING).unlink()


def _install(root: Path, python: Path, progress: Progress, lock: int) -> None:
    """Install what `constraints.txt` pins, in two calls of pip.

    The build back end goes first, pinned like the rest, so that the project itself needs no
    isolated build with a back end of its own choosing.
    """
    progress("installing the pinned packages into .venv (a minute or two the first time)")
    pip: list[str | Path] = [
        *(python, "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "-c", root / "constraints.txt"),
    ]
    for packages in (["setuptools"], ["--no-build-isolation", "-e", f"{root}[test]"]):
        run_tool(
            [*pip, *packages],
            what="installing packages (needs a Python package index)",
            timeout_s=INSTALL_TIMEOUT_S,
            pass_fds=[lock],
        )


def _fits(python: Path) -> bool:
    if not python.exists():
        return False
    try:
        found = run_tool([python, "-c", _PROBE], what="asking .venv", timeout_s=30.0).strip()
    except SetupError:
        return False
    if os.environ.get("PYTHON"):
        return found == _ours()
    return tuple(int(part) for part in found.split(".")) >= PYTHON_MIN


def _ours() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _remove(venv: Path) -> None:
    try:
        shutil.rmtree(venv)
    except OSError as error:
        raise SetupError(f"cannot remove {venv}: {error.strerror}; remove it by hand") from error
