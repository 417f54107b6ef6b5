"""The cache's place, the lock, and tools that end with the set-up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.provision import places
from harness.provision.commands import run_tool


def test_order_of_the_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYSTICK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    root = places.checkout_root()
    assert root is not None
    assert places.cache_folder() == root / ".cache"
    monkeypatch.setattr(places, "checkout_root", lambda: None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert places.cache_folder() == tmp_path / "user" / "tallystick"
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "named"))
    assert places.cache_folder() == tmp_path / "named"


def test_a_taken_lock_is_waited_for_and_said(tmp_path: Path) -> None:
    lock = tmp_path / "a" / "lock"
    said: list[str] = []
    with places.exclusive(lock, said.append):
        assert said == []
        with (
            pytest.raises(SetupError, match="has held"),
            places.exclusive(lock, said.append, wait_s=0.25),
        ):
            pytest.fail("two hold the lock")
        assert said == [f"another set-up holds {lock}; waiting for it to finish"]
    with places.exclusive(lock, said.append, wait_s=0.0):
        assert len(said) == 1


def test_the_lock_of_an_ended_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = (
        "import os, sys\nfrom pathlib import Path\nfrom harness.provision.places import exclusive\n"
        "with exclusive(Path(sys.argv[1]), print):\n    os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", holder, lock], timeout=20, check=False)
    assert done.returncode == 9
    with places.exclusive(lock, pytest.fail, wait_s=0.0):
        pass


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SetupError, match="cannot write"),
        places.exclusive(tmp_path / "file" / "lock", pytest.fail),
    ):
        pytest.fail("the lock was taken")


def test_a_failed_tool_is_quoted() -> None:
    with pytest.raises(SetupError, match=r"(?s)trying: .* ended with 3\n    why"):
        run_tool(["sh", "-c", "echo why >&2; exit 3"], what="trying", timeout_s=10)
    with pytest.raises(SetupError, match="trying: cannot start /no/such"):
        run_tool(["/no/such"], what="trying", timeout_s=10)


def test_a_slow_tool_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    start = time.monotonic()
    with pytest.raises(SetupError, match="not finished after"):
        run_tool(["sh", "-c", f"echo $$ > {pid_file}; exec sleep 30"], what="trying", timeout_s=0.5)
    assert time.monotonic() - start < 15
    pid = pid_file.read_text().strip()
    assert subprocess.run(["kill", "-0", pid], capture_output=True, check=False).returncode != 0


def test_the_set_up_needs_no_package(tmp_path: Path) -> None:
    root = places.checkout_root()
    assert root is not None
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import harness.provision.__main__"],
        cwd=root,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
