"""What the command line does around a run: folders, exit codes, signals, suites."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.report.codec import decode_result, decode_suite
from harness.scenario.loader import load_all
from harness.scenario.suites import suite_of
from harness.testing import stand_in_runner


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "harness.run.runner", None)
    stand_in_runner.install()
    monkeypatch.chdir(tmp_path)


def say(monkeypatch, word: str) -> None:
    monkeypatch.setenv(stand_in_runner.VARIABLE, word)


@pytest.mark.parametrize(("example", "code"), [("passed", 0), ("failed", 1), ("unknown", 3)])
def test_the_exit_code_is_the_verdict(example: str, code: int, monkeypatch, capsys) -> None:
    say(monkeypatch, example)
    assert run_cli(["run", "offline-messaging", "--out", "x"]) == code
    out = capsys.readouterr().out
    assert out.startswith(decode_result(Path("x/result.json").read_bytes()).verdict.status.value)


def test_without_out_the_folder_is_named_for_time_scenario_and_seed(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed")
    assert run_cli(["run", "offline_messaging", "--seed", "4711"]) == 0
    assert run_cli(["run", "offline_messaging", "--seed", "4711"]) == 0
    folders = sorted(path.name for path in Path("results").iterdir() if not path.is_symlink())
    assert len(folders) == 2
    assert all("-offline_messaging-4711" in name and ":" not in name for name in folders)
    assert Path("results/latest").resolve().name in folders
    stored = decode_result(Path("results/latest/result.json").read_bytes())
    assert stored.run.seed == 4711
    assert stored.run.id == Path("results/latest").resolve().name
    assert "seed 4711" in capsys.readouterr().err


def test_a_fresh_seed_is_drawn_printed_and_repeats(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed")
    run_cli(["run", "offline_messaging", "--out", "a"])
    run_cli(["run", "offline_messaging", "--out", "b", "--set", "users=4"])
    first, second = (decode_result(Path(f"{x}/result.json").read_bytes()).run for x in "ab")
    assert first.seed != second.seed
    assert f"seed {first.seed}" in capsys.readouterr().err
    assert second.repeat_command == (
        f"tallystick run offline_messaging --seed {second.seed} --profile standard --set users=4"
    )


def test_trouble_of_the_harness_is_70_and_leaves_an_incomplete_result(monkeypatch, capsys) -> None:
    say(monkeypatch, "trouble")
    assert run_cli(["run", "offline_messaging", "--out", "x"]) == 70
    assert "the proxy did not come up" in capsys.readouterr().err
    say(monkeypatch, "crash")
    assert run_cli(["run", "offline_messaging", "--out", "y"]) == 70
    assert "traceback lies in y/logs/harness.log" in capsys.readouterr().err
    assert "deep inside" in Path("y/logs/harness.log").read_text()
    assert decode_result(Path("y/result.json").read_bytes()).complete is False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("verb", ["run", "verify"])
def test_a_signal_ends_a_run_with_its_code_and_marks_the_result(
    verb: str, number: signal.Signals, code: int
) -> None:
    arguments = ["run", "offline_messaging"] if verb == "run" else ["verify", "--profile", "smoke"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.testing.stand_in_runner", *arguments, "--out", "x"],
        env={**os.environ, stand_in_runner.VARIABLE: "passed,wait" if verb == "verify" else "wait"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line == "waiting\n":
                break
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert "INCOMPLETE" in out
    marked = [json.loads(path.read_bytes()) for path in Path("x").rglob("result.json")]
    cut = [one for one in marked if not one["complete"]]
    assert len(cut) == 1
    assert cut[0]["verdict"]["exit_code"] == code
    assert cut[0]["verdict"]["reason_code"] == "interrupted"
    if verb == "verify":
        suite = decode_suite(Path("x/suite.json").read_bytes())
        assert suite.complete is False
        assert suite.verdict.exit_code == code
        assert [one.status.value for one in suite.scenarios] == ["PASS", "UNKNOWN"]
        assert {one.reason for one in suite.not_run} == {"not run: the suite was interrupted"}
        assert len(suite.not_run) == len(list(suite_of("smoke", load_all()))) - 2


def test_a_run_that_nohup_protects_outlives_its_terminal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.testing.stand_in_runner", "run", "offline_messaging"],
        env={**os.environ, stand_in_runner.VARIABLE: "wait"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if line == "waiting\n":
                break
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143


def test_a_file_that_the_system_refuses_is_one_line(monkeypatch, capsys) -> None:
    def refused(_word: str) -> None:
        raise PermissionError(13, "Permission denied", "history/0001.msgpack")

    monkeypatch.setattr("harness.cli.explain.find", refused)
    assert run_cli(["explain", "A1"]) == 70
    assert capsys.readouterr().err == "tallystick: history/0001.msgpack: Permission denied\n"


def test_a_suite_merges_and_goes_on_behind_a_broken_run(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed,crash,passed")
    three = ["--only", "global_fan_in,hotkey_bucketing,offline_messaging"]
    assert run_cli(["verify", "--profile", "smoke", "--seed", "9", "--out", "x", *three]) == 70
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert suite.complete
    assert [one.status.value for one in suite.scenarios] == ["PASS", "ERROR", "PASS"]
    assert suite.verdict.status.value == "ERROR"
    for scenario in suite.scenarios:
        assert (Path("x") / scenario.result).is_file()
    assert "# ERROR: Tallystick suite, smoke, seed 9" in Path("x/summary.md").read_text()
    assert capsys.readouterr().out.rstrip().endswith("x")


def test_a_suite_in_which_one_fails_ends_in_1(monkeypatch) -> None:
    say(monkeypatch, "passed,crash,failed")
    assert run_cli(["verify", "--out", "x"]) == 1
    say(monkeypatch, "passed")
    assert run_cli(["verify", "--out", "y", "--only", "hotkey-bucketing"]) == 0
    suite = decode_suite(Path("y/suite.json").read_bytes())
    assert [one.name for one in suite.scenarios] == ["hotkey_bucketing"]


def test_an_earlier_result_is_never_overwritten(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed")
    assert run_cli(["run", "offline_messaging", "--out", "x"]) == 0
    before = Path("x/result.json").read_bytes()
    assert run_cli(["run", "offline_messaging", "--out", "x"]) == 2
    assert Path("x/result.json").read_bytes() == before
