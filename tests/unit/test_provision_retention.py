"""`clean` removes the oldest runs, and nothing that is no run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.provision.retention import clean_results


def run_folder(results: Path, name: str, age: int, mark: str = "result.json") -> Path:
    folder = results / name
    (folder / "history").mkdir(parents=True)
    (folder / mark).write_text("{}")
    os.utime(folder / mark, (1_000_000 - age, 1_000_000 - age))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_stay(tmp_path: Path) -> None:
    for age in range(5):
        run_folder(tmp_path, f"run-{age}", age, "suite.json" if age % 2 else "result.json")
    planned = clean_results(tmp_path, keep=2, dry_run=True)
    assert len(names(tmp_path)) == 5
    done = clean_results(tmp_path, keep=2)
    assert done == planned
    assert [path.name for path in done.removed] == ["run-4", "run-3", "run-2"]
    assert (done.kept, done.bytes_freed) == (2, 6)
    assert names(tmp_path) == ["run-0", "run-1"]
    assert clean_results(tmp_path, keep=2).removed == ()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    results = tmp_path / "results"
    old = run_folder(results, "run", 1)
    elsewhere = run_folder(tmp_path, "elsewhere", 9)
    (results / "README.md").write_text("")
    (results / "notes").mkdir()
    (results / "odd").mkdir()
    (results / "odd" / "result.json").symlink_to(elsewhere / "result.json")
    (results / "away").symlink_to(elsewhere)
    (results / "latest").symlink_to(old.name)
    done = clean_results(results, keep=0)
    assert done.removed == (old,)
    assert names(results) == ["README.md", "away", "notes", "odd"]
    assert (elsewhere / "result.json").exists()


def test_a_link_inside_a_run_is_not_followed(tmp_path: Path) -> None:
    results, kept = tmp_path / "results", tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x" * 1000)
    (run_folder(results, "run", 1) / "link").symlink_to(kept)
    done = clean_results(results, keep=0)
    assert done.bytes_freed < 1000
    assert (kept / "file").exists()


def test_other_folders_are_refused(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "run", 1)
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (run, tmp_path / "nothing", tmp_path / "link", run / "result.json"):
        with pytest.raises(UsageError):
            clean_results(folder, keep=0)
    with pytest.raises(UsageError, match="from 0 upwards"):
        clean_results(tmp_path, keep=-1)
    assert run.exists()
