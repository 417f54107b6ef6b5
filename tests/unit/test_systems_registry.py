"""Systems are found by name and by place; what is not one is told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.systems import registry
from harness.systems.promises import Promise
from harness.systems.registry import load_system, names
from harness.testing import queue_system


def test_every_name_that_is_listed_can_be_loaded():
    assert "reference" in names()
    assert names() == sorted(set(names()))
    for name in names():
        assert load_system(name).name == name


def test_a_place_names_an_object_of_a_module():
    assert load_system("harness.testing.queue_system:SYSTEM") is queue_system.SYSTEM
    assert Promise.BUCKETS not in queue_system.SYSTEM.promises


@pytest.mark.parametrize("wrong", ["referense", "Reference", "ference"])
def test_a_wrong_name_is_answered_with_the_nearest(wrong: str):
    with pytest.raises(UsageError, match=rf"no system '{wrong}'; did you mean 'reference'\?"):
        load_system(wrong)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("no_such_module_here:SYSTEM", "No module named 'no_such_module_here'"),
        ("harness.testing.queue_system:MISSING", "MISSING"),
        ("harness.testing.queue_system:QueueSystem", "a class"),
        ("harness.testing.queue_system:pack", "a function"),
    ],
)
def test_a_place_without_a_system_says_what_is_there(place: str, says: str):
    with pytest.raises(UsageError, match=f"system '{place}': .*{says}"):
        load_system(place)


def test_a_module_that_raises_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_system.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"'broken_system:S': .*\.py:1: RuntimeError: not today"):
        load_system("broken_system:S")


def test_a_system_whose_packages_are_missing_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(registry.OWN, "nats", "no_such_module_here:SYSTEM")
    with pytest.raises(UsageError, match=r"pip install 'tallystick\[nats\]'"):
        load_system("nats")
