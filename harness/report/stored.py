"""Finding results on disk from what a user names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.errors import DamagedHistory, UsageError
from harness.report.codec import decode_result, decode_suite
from harness.report.result import Result, Suite
from harness.report.writer import RESULT_NAME, SUITE_NAME

Read = TypeVar("Read", Result, Suite)


def run_folder(place: Path) -> Path:
    """Return the run folder that `place` names: itself, or that of a `result.json`.

    Raises:
        UsageError: It is no run; of a suite, says which runs there are.
    """
    folder = place.parent if place.name == RESULT_NAME else place
    if (folder / RESULT_NAME).is_file():
        return folder
    if (folder / SUITE_NAME).is_file():
        names = ", ".join(str(path.parent) for path in sorted(folder.glob(f"*/{RESULT_NAME}")))
        raise UsageError(f"{place} is a suite; name one of its runs: {names or 'it has none'}")
    raise UsageError(f"{place}: no {RESULT_NAME} there")


def load_result(path: Path) -> Result:
    """Return the result in a file.

    Raises:
        DamagedHistory: It is no result.
        UsageError: It cannot be read, or a newer Tallystick has written it.
    """
    return _load(path, decode_result)


def load_suite(path: Path) -> Suite:
    """Return the suite in a file.

    Raises:
        DamagedHistory: It is no suite.
        UsageError: It cannot be read, or a newer Tallystick has written it.
    """
    return _load(path, decode_suite)


def _load(path: Path, decode: Callable[[bytes], Read]) -> Read:
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except msgspec.DecodeError as error:
        raise DamagedHistory(f"{path} is damaged: {error}") from error
