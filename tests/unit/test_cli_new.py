"""`new`: files to start from; checks, faults and phases of one's own beside a scenario."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
import tomllib
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from harness.checkers import check as checks
from harness.cli import new
from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.faults import registry
from harness.provision.places import checkout_root
from harness.report.codec import decode_result
from harness.scenario.loader import find, load_file
from harness.systems.registry import load_system
from harness.testing.stored_runs import simulated_records, store_run


@pytest.fixture(autouse=True)
def _registries(monkeypatch, tmp_path: Path) -> None:
    """What a test registers is gone behind it."""
    checks.all_checks()
    registry.faults()
    monkeypatch.setattr(checks, "_SPECS", dict(checks._SPECS))
    monkeypatch.setattr(checks, "_MADE_BY", dict(checks._MADE_BY))
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    monkeypatch.delitem(sys.modules, "late_system", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", new.KINDS)
def test_the_next_step_is_one_that_works_from_here(kind: str, capsys) -> None:
    assert run_cli(["new", kind, "mine", "--out", "deep/er"]) == 0
    told = capsys.readouterr().out
    if kind == "system":
        assert "next: cd deep/er && tallystick conform mine:SYSTEM" in told
    else:
        assert "next: tallystick run ./deep/er/mine.py" in told
    assert run_cli(["new", kind, "class"]) == 2
    assert "a keyword of Python" in capsys.readouterr().err


@pytest.mark.parametrize("kind", new.KINDS)
def test_a_new_file_lints_and_holds_what_it_is_called_for(kind: str, capsys) -> None:
    assert run_cli(["new", kind, "late-thing"]) == 0
    verb = "conform" if kind == "system" else "run"
    assert f"made late_thing.py\nnext: tallystick {verb}" in capsys.readouterr().out
    text = Path("late_thing.py").read_text()
    assert "emplate" not in text
    assert ast.get_docstring(ast.parse(text), clean=True).startswith("Late thing: ")  # type: ignore[union-attr]
    root = checkout_root()
    assert root is not None
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(root / "pyproject.toml"), "late_thing.py"]
    for words in (["check", *config], ["format", "--check", *config]):
        done = subprocess.run([*ruff, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_adapter_to_copy_has_under_200_lines_of_code() -> None:
    """Not counted: blank lines, comments, docstrings, and the broker to run against behind it."""
    assert run_cli(["new", "system", "mine"]) == 0
    adapter, broker, _ = Path("mine.py").read_text().partition("\n\nclass Broker:")
    assert broker
    no_code = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tokens = list(tokenize.generate_tokens(io.StringIO(adapter).readline))
    code = {
        line
        for before, token in pairwise(tokens)
        # A text that begins a line is a docstring.
        if token.type not in no_code
        and not (token.type == tokenize.STRING and before.type in no_code)
        for line in range(token.start[0], token.end[0] + 1)
    }
    assert 100 < len(code) < 200


def test_the_files_to_copy_are_type_checked_with_the_rest() -> None:
    root = checkout_root()
    assert root is not None
    mypy = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"]
    assert "tallystick" in mypy["packages"]
    assert {path.stem for path in (root / "tallystick" / "templates").glob("[a-z]*.py")} == set(
        new.KINDS
    )


def test_a_new_scenario_check_and_fault_are_found_and_a_new_system_too() -> None:
    for kind in new.KINDS:
        assert run_cli(["new", kind, f"late_{kind}"]) == 0
    assert find("./late_scenario.py").scenario.name == "late_scenario"
    assert find("./late_check.py").scenario.checks == ("X1",)
    assert "X1" in {spec.id for spec in checks.all_checks()}
    assert find("./late_fault.py").scenario.name == "late_fault"
    assert registry.make("late_fault", {"duration_s": 2}).kind == "late_fault"
    assert load_system("late_system:SYSTEM").name == "late_system"
    for name in ("scenario", "check", "fault"):
        assert run_cli(["run", f"./late_{name}.py", "--dry-run"]) == 0


def test_a_new_fault_keeps_the_rules_for_faults() -> None:
    """Those of CONTRIBUTING.md: parameters with units, and the harness alone waits."""
    assert run_cli(["new", "fault", "late_fault"]) == 0
    find("./late_fault.py")
    made = registry.make("late_fault", {})
    names = [field.name for field in fields(registry.faults()["late_fault"])]
    assert names
    assert all(name.endswith(("_s", "_ms", "_bytes", "_count")) for name in names)
    assert made.duration_s > 0
    assert "Observed: " in (made.__doc__ or "")
    assert "sleep" not in Path("late_fault.py").read_text()


def test_nothing_is_overwritten(capsys) -> None:
    Path("mine.py").write_text("precious")
    assert run_cli(["new", "scenario", "mine"]) == 2
    assert "mine.py exists already" in capsys.readouterr().err
    assert Path("mine.py").read_text() == "precious"
    assert run_cli(["new", "scenario", "mine", "--out", "deep/er"]) == 0
    assert Path("deep/er/mine.py").is_file()


@pytest.mark.parametrize("name", ["", "3rd", "a b", "class", "ä", "../up"])
def test_a_name_that_no_module_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        new.module_name(name)


def test_an_unknown_kind_is_refused(capsys) -> None:
    assert run_cli(["new", "broker", "x"]) == 2
    assert "one of scenario, system, check, fault" in capsys.readouterr().err


def test_a_file_may_be_loaded_again_but_its_id_is_taken_for_others() -> None:
    run_cli(["new", "check", "one"])
    run_cli(["new", "check", "two"])
    load_file("one.py")
    load_file("one.py")
    with pytest.raises(UsageError, match="check 'X1' is registered twice"):
        load_file("two.py")
    with pytest.raises(UsageError, match=r"no file 'three\.py'"):
        load_file("three.py")


def test_a_run_with_a_check_of_ones_own_is_judged_again_with_its_file(capsys) -> None:
    run_cli(["new", "check", "mine"])
    text = Path("mine.py").read_text()
    Path("mine.py").write_text(text.replace("ATTEMPTS_MAX = 3", "ATTEMPTS_MAX = 0"))
    load_file("mine.py")
    records, trims = simulated_records(20)
    Path("run").mkdir()
    result = store_run(Path("run"), records, seed=20, trims=trims)
    found = next(check for check in result.checks if check.id == "X1")
    assert found.status == "FAIL"
    assert found.instances == found.examined > 0
    assert "attempts for" in found.witnesses[0].summary
    assert found.witnesses[0].records
    assert decode_result(Path("run/result.json").read_bytes()).verdict.status == "FAIL"
    assert run_cli(["check", "run", "--load", "mine.py"]) == 1
    del checks._SPECS["X1"]
    capsys.readouterr()
    assert run_cli(["check", "run"]) == 70
    assert "--load the file that holds check X1" in capsys.readouterr().err
