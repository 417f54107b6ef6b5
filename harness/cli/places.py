"""Finding results on disk from what a user names."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.errors import DamagedHistory, UsageError
from harness.report.codec import decode_result, decode_suite
from harness.report.result import Result, Suite
from harness.report.writer import RESULT_NAME, SUITE_NAME


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
        DamagedHistory: It cannot be read or is no result of a version that is known.
    """
    try:
        return decode_result(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{path} is damaged: {error}") from error


def load_suite(path: Path) -> Suite:
    """Return the suite in a file.

    Raises:
        DamagedHistory: It cannot be read or is no suite of a version that is known.
    """
    try:
        return decode_suite(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{path} is damaged: {error}") from error
