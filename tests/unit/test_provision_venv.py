"""The environment: made once, recognised, mended when half made, never taken from its owner."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.provision import venv


class Tools:
    """Stands in for `python -m venv` and pip; fails at the call whose words hold `fail_at`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.fail_at = ""
        self.version = f"{sys.version_info.major}.{sys.version_info.minor}"

    def __call__(self, arguments: Sequence[str | Path], **_: object) -> str:
        words = " ".join(str(argument) for argument in arguments)
        name = next(
            (name for name in ("-m venv", "setuptools", "[test]", "print(") if name in words), words
        )
        self.calls.append(name)
        if self.fail_at and self.fail_at in words:
            raise SetupError("it broke")
        if name == "-m venv":
            (self.root / ".venv" / "bin").mkdir()
            (self.root / ".venv" / "bin" / "python").touch()
            (self.root / ".venv" / "pyvenv.cfg").write_text(f"version = {self.version}.7\n")
        return self.version


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.delenv("PYTHON", raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("anyio==4\n")
    found = Tools(tmp_path)
    monkeypatch.setattr(venv, "run_tool", found)
    return found


def ensure(tools: Tools) -> list[str]:
    """Run the set-up; return what it said."""
    tools.calls.clear()
    said: list[str] = []
    python = venv.ensure_venv(tools.root, said.append)
    assert python == tools.root / ".venv" / "bin" / "python"
    return said


MADE = ["-m venv", "setuptools", "[test]"]


def test_made_once_and_then_only_recognised(tools: Tools) -> None:
    assert len(ensure(tools)) == 2
    assert tools.calls == MADE
    assert ensure(tools) == []
    assert tools.calls == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_of_what_it_is_made_from_installs_again(tools: Tools, name: str) -> None:
    ensure(tools)
    (tools.root / name).write_text("changed\n")
    ensure(tools)
    assert tools.calls == ["print(", "setuptools", "[test]"]
    assert ensure(tools) == []


@pytest.mark.parametrize("step", MADE)
def test_an_interrupted_set_up_is_made_anew(tools: Tools, step: str) -> None:
    tools.fail_at = step
    with pytest.raises(SetupError, match="it broke"):
        ensure(tools)
    tools.fail_at = ""
    (tools.root / ".venv" / "half").touch()
    assert "interrupted" in ensure(tools)[0]
    assert tools.calls == MADE
    assert not (tools.root / ".venv" / "half").exists()


def test_an_interrupted_change_is_made_anew(tools: Tools) -> None:
    ensure(tools)
    (tools.root / "constraints.txt").write_text("anyio==5\n")
    tools.fail_at = "[test]"
    with pytest.raises(SetupError):
        ensure(tools)
    tools.fail_at = ""
    (tools.root / "constraints.txt").write_text("anyio==4\n")
    assert "interrupted" in ensure(tools)[0]


def test_an_environment_made_by_hand_is_kept(tools: Tools) -> None:
    mine = tools.root / ".venv" / "mine"
    (tools.root / ".venv").mkdir()
    tools([sys.executable, "-m", "venv"])
    mine.touch()
    ensure(tools)
    assert tools.calls == ["print(", "setuptools", "[test]"]
    assert mine.exists()


@pytest.mark.parametrize("version", ["3.10", "2.7"])
def test_an_old_python_in_it_is_replaced(tools: Tools, version: str) -> None:
    (tools.root / ".venv").mkdir()
    tools([sys.executable, "-m", "venv"])
    tools.version = version
    assert "another than asked for" in ensure(tools)[0]
    assert tools.calls == ["print(", *MADE]


def test_the_python_that_was_named_is_the_one(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.version = "3.99"
    ensure(tools)
    monkeypatch.setenv("PYTHON", sys.executable)
    ensure(tools)
    assert tools.calls == ["print(", *MADE]
    monkeypatch.delenv("PYTHON")
    assert ensure(tools) == []


def test_a_vanished_python_is_replaced(tools: Tools) -> None:
    ensure(tools)
    (tools.root / ".venv" / "bin" / "python").unlink()
    ensure(tools)
    assert tools.calls == MADE


def test_a_moved_checkout_installs_again(tools: Tools, tmp_path: Path) -> None:
    ensure(tools)
    before = venv.stamp_of(tools.root)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tools.root.rename(moved)
    assert venv.stamp_of(moved) != before
    moved.rename(tmp_path)
