"""The journal of a run's faults, `faults.jsonl`: what was done when, and what was seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.errors import DamagedHistory
from harness.report.result import Fault as JournalEntry

JOURNAL_NAME = "faults.jsonl"


def write_journal(path: Path, entries: Sequence[JournalEntry]) -> None:
    """Write the journal, one JSON object per line."""
    path.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def read_journal(path: Path) -> list[JournalEntry]:
    """Return the entries of a journal.

    Raises:
        DamagedHistory: It cannot be read or is not what was written.
    """
    try:
        return [
            msgspec.json.decode(line, type=JournalEntry) for line in path.read_bytes().splitlines()
        ]
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{path}: {error}") from error
