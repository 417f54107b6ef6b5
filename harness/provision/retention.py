"""Removes the oldest run folders of a results folder, and nothing else.

Only a folder that directly holds `result.json`, `suite.json` or `selftest.json` looks like a run.
Links are neither followed nor removed, except `latest` when it points at a removed run.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import UsageError

MARKS: Final = ("result.json", "suite.json", "selftest.json")
"""The files of which one makes a folder a run."""

LATEST: Final = "latest"
"""The link to the newest run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What a clean removed (or would remove), oldest first, and how many runs it kept."""

    removed: tuple[Path, ...]
    kept: int
    bytes_freed: int


def clean_results(results: Path, *, keep: int, dry_run: bool = False) -> Cleaning:
    """Remove all runs of `results` but the `keep` newest.

    A run's age is the time that its mark was last written, and its name where that is equal: a
    folder's own time changes when somebody looks into it with a tool that leaves files.

    Raises:
        UsageError: `keep` is negative, or `results` is a link, no folder, or itself a run.
    """
    if keep < 0:
        raise UsageError(f"--keep {keep}: a number of runs from 0 upwards is allowed")
    if results.is_symlink() or not results.is_dir():
        raise UsageError(f"{results} is no folder (links are not followed)")
    if _age_ns(results) is not None:
        raise UsageError(f"{results} is itself a run; name the folder that holds the runs")
    aged: list[tuple[int, str, Path]] = []
    for entry in results.iterdir():
        age_ns = None if entry.is_symlink() or not entry.is_dir() else _age_ns(entry)
        if age_ns is not None:
            aged.append((age_ns, entry.name, entry))
    runs = [path for *_, path in sorted(aged)]
    doomed = runs[: max(len(runs) - keep, 0)]
    freed = sum(_size_bytes(run) for run in doomed)
    if not dry_run:
        for run in doomed:
            shutil.rmtree(run)
        _drop_dangling(results / LATEST)
    return Cleaning(removed=tuple(doomed), kept=len(runs) - len(doomed), bytes_freed=freed)


def _age_ns(folder: Path) -> int | None:
    """Return when the folder's mark was written, None when it has none."""
    for name in MARKS:
        mark = folder / name
        if mark.is_file() and not mark.is_symlink():
            return mark.stat().st_mtime_ns
    return None


def _size_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder, followlinks=False):
        total += sum(os.lstat(os.path.join(place, name)).st_size for name in names)
    return total


def _drop_dangling(link: Path) -> None:
    if link.is_symlink() and not link.exists():
        link.unlink()
