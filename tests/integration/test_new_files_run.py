"""What `new` makes runs as it is: a check, a system, a fault; so does the README's scenario."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from harness.checkers import check as checks
from harness.cli.main import run_cli
from harness.faults import registry
from harness.report.codec import decode_result

ROOT = Path(__file__).parents[2]
README, ADAPTERS = ROOT / "README.md", ROOT / "docs" / "adapters.md"

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path: Path, toxiproxy_binary: Path) -> None:
    checks.all_checks()
    registry.faults()
    monkeypatch.setattr(checks, "_SPECS", dict(checks._SPECS))
    monkeypatch.setattr(checks, "_MADE_BY", dict(checks._MADE_BY))
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    monkeypatch.delitem(sys.modules, "late_system", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Load processes look for the system where they stand, as the command line does.
    monkeypatch.chdir(tmp_path)


def test_a_new_check_is_made_on_a_new_system() -> None:
    assert run_cli(["new", "check", "late_check"]) == 0
    assert run_cli(["new", "system", "late_system"]) == 0
    words = ["run", "./late_check.py", "--system", "late_system:SYSTEM", "--out", "kept"]
    assert run_cli(words) == 0
    result = decode_result(Path("kept/result.json").read_bytes())
    assert result.system.name == "late_system"
    assert result.counts.delivered > 100
    assert {c.id: c.status.value for c in result.checks}["X1"] == "PASS"
    assert all(link.covered for link in result.coverage)


def test_a_new_system_does_its_duties_and_is_found_out_when_it_does_not(capsys) -> None:
    assert run_cli(["new", "system", "late_system"]) == 0
    capsys.readouterr()
    assert run_cli(["conform", "late_system:SYSTEM"]) == 0
    assert "NOT_APPLICABLE" not in capsys.readouterr().out
    file = Path("late_system.py")
    text = file.read_text()
    file.write_text(text.replace("log.extend(messages[known_count:])", "log.extend(messages)"))
    case = "resent_messages_are_stored_once"
    assert run_cli(["conform", "late_system:SYSTEM", "--only", case]) == 1
    assert f"FAIL           {case}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("sound", "spoiled", "first"),
    [
        ("enumerate(found)]", "enumerate(found) if (next_pos + index) % 100]", "A1"),
        (
            "log.extend(messages[known_count:])",
            "log.extend(messages[known_count:] if n_first % 7 else [])",
            "A1",
        ),
    ],
)
def test_a_new_system_that_loses_is_named_as_the_document_says(
    sound: str, spoiled: str, first: str
) -> None:
    assert spoiled in ADAPTERS.read_text()
    assert run_cli(["new", "system", "late_system"]) == 0
    file = Path("late_system.py")
    text = file.read_text()
    assert text.count(sound) == 1
    file.write_text(text.replace(sound, spoiled))
    assert run_cli(["new", "scenario", "late"]) == 0
    words = ["run", "./late.py", "--system", "late_system:SYSTEM", "--profile", "smoke"]
    assert run_cli([*words, "--out", "kept"]) == 1
    result = decode_result(Path("kept/result.json").read_bytes())
    assert result.diagnosis is not None
    assert result.diagnosis.check == first
    assert result.diagnosis.text == result.verdict.reason
    lost = next(check for check in result.checks if check.id == "A1")
    assert 0 < lost.instances < lost.examined


def test_a_new_fault_has_its_effect() -> None:
    assert run_cli(["new", "fault", "late_fault"]) == 0
    assert run_cli(["run", "./late_fault.py", "--out", "kept"]) in (0, 4)
    (fault,) = decode_result(Path("kept/result.json").read_bytes()).faults
    assert (fault.kind, fault.effective, fault.effect) == (
        "late_fault",
        True,
        {"stopped": 1, "running": 1},
    )


def test_the_scenario_of_the_readme_has_fifteen_lines_and_passes() -> None:
    (text,) = re.findall(r'```python\n("""Late login:.*?)```', README.read_text(), re.DOTALL)
    assert len(text.splitlines()) <= 15
    Path("late_login.py").write_text(text)
    assert run_cli(["run", "./late_login.py", "--out", "kept"]) == 0
    result = decode_result(Path("kept/result.json").read_bytes())
    assert result.counts.delivered > 9_000
    assert {(cut.kind, cut.effective) for cut in result.faults} == {("link_cut", True)}
