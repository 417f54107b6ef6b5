"""What CI reads: JUnit, a summary page, limits from the command line; repeats that hide nothing."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.report import ci
from harness.report.codec import decode_result, decode_suite
from harness.report.junit import Case
from harness.run import limits
from harness.testing import example_results as examples
from harness.testing import stand_in_runner

TWO = ("--only", "offline_messaging,hotkey_bucketing")


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "harness.run.runner", None)
    stand_in_runner.install()
    monkeypatch.chdir(tmp_path)


def say(monkeypatch, words: str) -> None:
    monkeypatch.setenv(stand_in_runner.VARIABLE, words)


def suites(path: str) -> dict[str, ET.Element]:
    return {one.attrib["name"]: one for one in ET.parse(path).getroot()}


def cases(suite: ET.Element) -> dict[str, str]:
    """Return what each case ended in, by name."""
    return {
        case.attrib["name"]: next((child.tag for child in case), "passed")
        for case in suite.iter("testcase")
    }


def test_junit_has_a_case_per_scenario_and_check(monkeypatch) -> None:
    say(monkeypatch, "passed,failed")
    done = run_cli(["verify", *TWO, "--out", "x", "--junit", "deep/ci.xml"])
    assert done == 1
    found = suites("deep/ci.xml")
    assert set(found) == {
        "tallystick.offline_messaging", "tallystick.hotkey_bucketing", "tallystick.reach",
    }  # fmt: skip
    (told,) = found["tallystick.reach"].iter("skipped")
    assert told.attrib["message"].startswith("never reached in this suite: load.empty_message")
    good, bad = (cases(found[f"tallystick.{name}"]) for name in TWO[1].split(","))
    assert good["verdict"] == good["A1 LOST"] == good["limit ack_p99_ms <= 500"] == "passed"
    assert good["B6 ORDER-DISAGREE"] == "skipped"
    assert bad["verdict"] == bad["A1 LOST"] == bad["B4 REALTIME"] == "failure"
    counted = {key: int(found["tallystick.hotkey_bucketing"].attrib[key]) for key in (
        "tests", "failures", "errors", "skipped")}  # fmt: skip
    assert counted == {
        "tests": len(bad), "failures": list(bad.values()).count("failure"), "errors": 0,
        "skipped": 1,
    }  # fmt: skip
    assert Path("x/junit.xml").read_bytes() == Path("deep/ci.xml").read_bytes()


def test_a_run_that_broke_is_an_error_in_junit_and_told_on_the_page(monkeypatch) -> None:
    say(monkeypatch, "trouble")
    words = ["run", "offline_messaging", "--junit", "a.xml", "--markdown", "a.md", "--out", "x"]
    assert run_cli(words) == 70
    (suite,) = suites("a.xml").values()
    assert cases(suite) == {"verdict": "error"}
    assert suite.find("testcase/error").attrib["message"] == "the proxy did not come up"  # type: ignore[union-attr]
    assert "# ERROR: offline" in Path("a.md").read_text()


@pytest.mark.parametrize(
    ("step", "code", "told"),
    [
        ("trouble", 70, "the proxy did not come up"),
        ("usage", 2, "no target 'there'"),
        ("setup", 70, "there is no Toxiproxy"),
        ("crash", 70, "ZeroDivisionError: deep inside; the traceback lies in x/logs/harness.log"),
        ("group", 70, "ZeroDivisionError: deep inside; the traceback lies in x/logs/harness.log"),
    ],
)
def test_a_run_that_broke_says_why_wherever_one_looks(
    monkeypatch, capsys, step: str, code: int, told: str
) -> None:
    say(monkeypatch, step)
    assert run_cli(["run", "offline_messaging", "--junit", "a.xml", "--out", "x"]) == code
    assert told in capsys.readouterr().err
    (suite,) = suites("a.xml").values()
    assert suite.find("testcase/error").attrib["message"] == told  # type: ignore[union-attr]
    result = decode_result(Path("x/result.json").read_bytes())
    assert (result.complete, result.verdict.reason) == (False, told)
    assert told in Path("x/summary.md").read_text()


def test_a_scenario_that_broke_leaves_the_others_to_run(monkeypatch) -> None:
    say(monkeypatch, "usage,passed")
    assert run_cli(["verify", *TWO, "--out", "x", "--junit", "a.xml"]) == 70
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert suite.complete
    assert [(one.name, one.status.value) for one in suite.scenarios] == [
        ("offline_messaging", "ERROR"),
        ("hotkey_bucketing", "PASS"),
    ]
    assert suite.scenarios[0].reason == "no target 'there'"
    assert len(suites("a.xml")) == 3  # What was never reached is the third.


def test_a_suite_that_cannot_go_on_says_why_and_what_has_not_run(monkeypatch) -> None:
    say(monkeypatch, "passed,setup")
    three = ("--only", "offline_messaging,hotkey_bucketing,core_crash")
    assert run_cli(["verify", *three, "--out", "x", "--junit", "a.xml"]) == 70
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert not suite.complete
    assert suite.verdict.status.value == "ERROR"
    assert "there is no Toxiproxy" in suite.verdict.reason
    assert [one.name for one in suite.scenarios] == ["offline_messaging"]
    assert [one.name for one in suite.not_run] == ["hotkey_bucketing", "core_crash"]
    assert len(suites("a.xml")) == 3


def test_two_scenarios_of_one_name_are_refused(capsys) -> None:
    assert run_cli(["verify", "--only", "core_crash,core-crash", "--out", "x"]) == 2
    assert "two scenarios are named 'core_crash'" in capsys.readouterr().err
    assert not Path("x").exists()


def test_what_was_not_run_is_skipped_and_listed(monkeypatch, capsys) -> None:
    say(monkeypatch, "failed,passed")
    assert run_cli(["verify", *TWO, "--out", "x", "--fail-fast", "--junit", "a.xml"]) == 1
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert suite.complete
    assert [one.name for one in suite.scenarios] == ["offline_messaging"]
    assert [one.name for one in suite.not_run] == ["hotkey_bucketing"]
    assert cases(suites("a.xml")["tallystick.hotkey_bucketing"]) == {"verdict": "skipped"}
    assert "NOT RUN      hotkey_bucketing" in capsys.readouterr().out
    assert not Path("x/hotkey_bucketing").exists()


def test_fail_fast_goes_on_behind_unknown(monkeypatch) -> None:
    say(monkeypatch, "unknown,passed")
    assert run_cli(["verify", *TWO, "--out", "x", "--fail-fast"]) == 3
    assert len(decode_suite(Path("x/suite.json").read_bytes()).scenarios) == 2


def test_a_page_is_appended_and_shows_what_failed(monkeypatch) -> None:
    Path("page.md").write_text("before\n")
    say(monkeypatch, "failed")
    assert run_cli(["run", "offline_messaging", "--out", "x", "--markdown", "page.md"]) == 1
    say(monkeypatch, "passed,failed")
    assert run_cli(["verify", *TWO, "--out", "y", "--markdown", "page.md"]) == 1
    page = Path("page.md").read_text()
    assert page.startswith("before\n# FAIL: offline")
    assert "| hotkey_bucketing | FAIL" in page
    assert "<details><summary>PASS: offline_messaging" in page
    assert "<details open><summary>FAIL: hotkey_bucketing" in page
    assert "](y" not in page  # Links would lead nowhere from a CI system's page.


def test_a_page_stays_below_what_a_ci_system_takes(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    ci.append_page(path, "é" * ci.PAGE_BYTES_MAX)
    assert path.stat().st_size <= ci.PAGE_BYTES_MAX + 1
    assert path.read_text().rstrip().endswith("lies in the results folder)*")
    assert "tallystick history here" in ci.result_page(
        Case(label="x", result=_with_message(), run_dir="here")
    )


def _with_message():
    failed = examples.failed()
    lost = next(check for check in failed.checks if check.id == "A1")
    witness = msgspec.structs.replace(lost.witnesses[0], message="1/vip/2")
    named = msgspec.structs.replace(lost, witnesses=[witness])
    checks = [named if check.id == "A1" else check for check in failed.checks]
    return msgspec.structs.replace(failed, checks=checks)


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_file_that_cannot_be_written_is_said_before_the_run(option: str, capsys) -> None:
    Path("taken").mkdir()
    assert run_cli(["run", "offline_messaging", "--out", "x", option, "taken"]) == 2
    assert f"{option} taken: cannot be written" in capsys.readouterr().err
    assert not Path("x").exists()


def test_every_repeat_counts_and_the_worst_is_the_verdict(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed,failed,passed")
    words = ["run", "offline_messaging", "--repeat", "3", "--out", "x", "--junit", "a.xml"]
    assert run_cli(words) == 1
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert [one.status.value for one in suite.scenarios] == ["PASS", "FAIL", "PASS"]
    assert {one.name for one in suite.scenarios} == {"offline_messaging"}
    seeds = {decode_result((Path("x") / one.result).read_bytes()).run.seed
             for one in suite.scenarios}  # fmt: skip
    assert len(seeds) == 3
    assert len(suites("a.xml")) == 3
    assert "FAIL         offline_messaging-2" in capsys.readouterr().out


def test_repeats_of_several_systems_go_round_by_round_into_one_table(monkeypatch, capsys) -> None:
    say(monkeypatch, "passed,passed,passed,crash,passed,failed")
    both = "reference,harness.testing.queue_system:SYSTEM"
    words = ["run", "slow_receiver", "--system", both, "--repeat", "3", "--out", "x"]
    assert run_cli(words) == 1
    queue = "harness.testing.queue_system_SYSTEM"
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert [one.result.partition("/")[0] for one in suite.scenarios] == [
        f"{system}-{number}" for number in (1, 2, 3) for system in ("reference", queue)
    ]
    seeds = [decode_result((Path("x") / one.result).read_bytes()).run.seed
             for one in suite.scenarios]  # fmt: skip
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 3
    first, second = Path("x/systems.md").read_text().splitlines()[2:]
    assert first.startswith("| reference | PASS x3 | ")
    assert second.startswith("| harness.testing.queue_system:SYSTEM | PASS, ERROR, FAIL | ")
    assert "PASS, ERROR, FAIL" in capsys.readouterr().out


def test_a_given_seed_is_repeated(monkeypatch) -> None:
    say(monkeypatch, "passed")
    assert run_cli(["run", "offline_messaging", "--repeat", "2", "--seed", "7", "--out", "x"]) == 0
    stored = [decode_result(path.read_bytes()) for path in Path("x").rglob("result.json")]
    assert [one.run.seed for one in stored] == [7, 7]
    assert run_cli(["verify", *TWO, "--repeat", "2", "--out", "y"]) == 0
    names = [path.parent.name for path in sorted(Path("y").rglob("result.json"))]
    assert names == [f"{name}-{i}" for name in sorted(TWO[1].split(",")) for i in (1, 2)]


def test_until_fail_ends_at_the_failure(monkeypatch) -> None:
    say(monkeypatch, "passed,unknown,failed,passed")
    assert run_cli(["run", "offline_messaging", "--until-fail", "--out", "x"]) == 1
    suite = decode_suite(Path("x/suite.json").read_bytes())
    assert [one.status.value for one in suite.scenarios] == ["PASS", "UNKNOWN", "FAIL"]


def test_until_fail_is_bounded(monkeypatch) -> None:
    say(monkeypatch, "passed")
    words = ["run", "offline_messaging", "--until-fail", "--repeat", "2", "--out", "x"]
    assert run_cli(words) == 0
    assert len(list(Path("x").rglob("result.json"))) == 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("ack_p99_ms=200", "ack_p99_ms <= 200"),
        ("delivered_per_s=1_000", "delivered_per_s >= 1000"),
        ("delivered_per_s <= 10", "delivered_per_s <= 10"),
        ("ack_max_ms=1.5", "ack_max_ms <= 1.5"),
    ],
)
def test_a_limit_knows_its_direction(text: str, limit: str) -> None:
    assert limits.parse_option(text) == limit
    assert limits.parse(limit)


def test_a_users_limit_replaces_the_plans_on_its_metric() -> None:
    plan = ["ack_p99_ms <= 500", "delivered_per_s >= 5"]
    assert limits.combine(plan, ("ack_p99_ms <= 900",)) == [plan[1], "ack_p99_ms <= 900"]
    assert limits.combine(plan, ()) == plan


@pytest.mark.parametrize("text", ["ack_p99_ms", "ack_p98_ms=3", "ack_p99_ms=fast", "=3"])
def test_a_wrong_limit_is_refused_before_the_run(text: str, capsys) -> None:
    with pytest.raises(UsageError):
        limits.parse_option(text)
    assert run_cli(["run", "offline_messaging", "--limit", text, "--out", "x"]) == 2
    assert not Path("x").exists()


def test_limits_are_handed_to_the_run_and_to_its_repeat_command(monkeypatch) -> None:
    say(monkeypatch, "passed")
    words = ["run", "offline_messaging", "--out", "x", "--limit", "ack_p99_ms=200"]
    assert run_cli(words) == 0
    repeat = shlex.split(decode_result(Path("x/result.json").read_bytes()).run.repeat_command)
    assert repeat[repeat.index("--limit") + 1] == "ack_p99_ms <= 200"
    twice = ["--limit", "ack_p99_ms=1", "--limit", "ack_p99_ms=2"]
    assert run_cli(["run", "offline_messaging", "--out", "y", *twice]) == 2


def test_the_readme_names_only_options_that_exist(capsys) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    part = readme[readme.index("## In CI") : readme.index("## Reading the results")]
    known = {"--tallystick-seed", "--tallystick-profile"}
    for verb in ("run", "verify", "compare"):
        assert run_cli([verb, "--help"]) == 0
        known |= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = set(re.findall(r"--[a-z][a-z-]+", part))
    assert len(named) > 10
    assert named <= known
