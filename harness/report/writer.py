"""Writing results so that a reader sees an old file or a new one, never half of one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from harness.report.codec import encode
from harness.report.result import Artifact, Result, Suite

RESULT_NAME = "result.json"
SUITE_NAME = "suite.json"

_READ_BYTES = 1 << 20
"""How much of a file is held in memory while its digest is made."""


def write_result(run_dir: Path, result: Result) -> Path:
    """Write `result.json` into the run folder, replacing an earlier one, and return its path.

    Raises:
        ValueError: The result breaks a rule of its schema.
        OSError: The file system refused.
    """
    return write_atomically(run_dir / RESULT_NAME, encode(result))


def write_suite(suite_dir: Path, suite: Suite) -> Path:
    """Write `suite.json` into the folder of the suite, as `write_result` does."""
    return write_atomically(suite_dir / SUITE_NAME, encode(suite))


def write_atomically(path: Path, data: bytes) -> Path:
    """Replace `path` by `data`, durably: it holds the old bytes or the new, at any moment.

    Raises:
        OSError: The file system refused; the old file is untouched.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner reads; results are meant to be uploaded and read.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path


def describe_artifacts(run_dir: Path) -> list[Artifact]:
    """Return every file of the run folder but `result.json` itself, by path.

    Symbolic links, sockets and hidden files (a temporary of a cut-off write) are left out.
    """
    found = []
    for path in sorted(run_dir.rglob("*")):
        relative = path.relative_to(run_dir)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or path.is_symlink() or not path.is_file() or str(relative) == RESULT_NAME:
            continue
        found.append(
            Artifact(path=relative.as_posix(), sha256=digest_of(path), bytes=path.stat().st_size)
        )
    return found


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
