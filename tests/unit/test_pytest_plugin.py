"""The pytest plugin: a test fails with the witness; other people's runs see nothing of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.plugin.toxic import parse_address
from harness.testing import stand_in_runner

pytest_plugins = ["pytester"]

STAND_IN = """
from harness.testing import stand_in_runner
stand_in_runner.install()
"""


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run a file of tests in a session of its own, with this plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))

    def run(text: str, *arguments: str, example: str = "passed") -> pytest.RunResult:
        monkeypatch.setenv(stand_in_runner.VARIABLE, example)
        pytester.makepyfile(test_it=text)
        words = ("-p", "tallystick.pytest_plugin", "-W", "error", *arguments)
        return pytester.runpytest_subprocess(*words)

    return run


def test_a_session_that_does_not_use_it_imports_nothing_and_says_nothing(session) -> None:
    done = session(
        """
        import sys

        def test_nothing():
            ours = {"harness", "reference", "scenarios", "numpy", "anyio", "msgspec", "typer"}
            assert not ours & set(sys.modules), ours & set(sys.modules)
        """
    )
    done.assert_outcomes(passed=1)
    assert "tallystick" not in "\n".join(done.outlines[1:]).replace("tallystick.pytest_plugin", "")
    assert not Path("results").exists()


def test_a_pass_is_returned_and_its_folder_is_named(session, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(STAND_IN)
    done = session(
        """
        def test_fan_in(tallystick):
            result = tallystick.run("offline_messaging", users=2, retention="run")
            assert result.verdict.status == "PASS"
            assert result.run.parameters["users"] == 2
            assert result.run.profile == "standard"
            assert result.run.seed == 4711
        """,
        "--tallystick-seed=4711",
        "--tallystick-profile=standard",
    )
    done.assert_outcomes(passed=1)
    (line,) = [line for line in done.outlines if line.startswith("results in ")]
    folder = Path(line.removeprefix("results in "))
    assert (folder / "result.json").is_file()
    assert folder.name == "test_it.py-test_fan_in-1"
    assert folder.is_relative_to(pytester.path / "results" / "pytest")


def test_a_pass_without_something_optional_says_so_in_the_summary(session, pytester) -> None:
    pytester.makeconftest(STAND_IN)
    done = session(
        """
        def test_fan_in(tallystick):
            assert len(tallystick.run("offline_messaging").not_tried) == 2
        """,
        example="partly_tried",
    )
    done.assert_outcomes(passed=1)
    (line,) = [line for line in done.outlines if "not tried" in line]
    assert line.startswith("PASS, 3 planned things not tried: offline_messaging: process_kill on c")


def test_what_did_not_pass_fails_with_its_report(session, pytester) -> None:
    pytester.makeconftest(STAND_IN)
    done = session(
        """
        import pytest

        def test_loses(tallystick):
            tallystick.run("hotkey_bucketing", seed=5)
            raise AssertionError("not reached")

        @pytest.mark.parametrize("example", ["unknown", "trouble", "crash"])
        def test_proves_nothing(tallystick, monkeypatch, example):
            monkeypatch.setenv("TALLYSTICK_STAND_IN", example)
            tallystick.run("hotkey_bucketing")

        def test_wrong_words(tallystick):
            tallystick.run("offline_messaging", userz=3)

        def test_endpoint_as_a_parameter(tallystick):
            tallystick.run("offline_messaging", system="nats", endpoint="127.0.0.1:4222")
        """,
        "--tallystick-results=kept",
        example="failed",
    )
    done.assert_outcomes(failed=6)
    text = "\n".join(done.outlines)
    assert "FAIL         hotkey_bucketing" in text
    summary = [line for line in done.outlines if line.startswith("FAILED ")]
    # pytest's own word for a failure would take the room of what matters.
    assert "::test_loses - 3 acknowledged messages were lost" in summary[0]
    assert sum(" - tallystick: " in line for line in summary) == 4
    assert "A1 LOST, 3 in 517,000 examined" in text
    assert "witness    producer 17279655951921914625" in text
    assert "same seed   pytest 'test_it.py::test_loses' --tallystick-seed 5" in text
    assert "not reached" not in text
    assert "carry_out" not in text  # The way through our code is of no use to anybody.
    assert "UNKNOWN      hotkey_bucketing" in text
    assert "tallystick: the proxy did not come up" in text
    assert "tallystick: no parameter 'userz'" in text
    assert "part of the system, as in system='nats?endpoint=HOST:PORT'" in text
    assert list((pytester.path / "kept").rglob("result.json"))


def test_what_the_command_line_refuses_is_refused_in_its_words(session, pytester, capsys) -> None:
    """A plan goes through one door, so a test runs what `tallystick run` would."""
    queue = "harness.testing.queue_system:SYSTEM"
    wanted = {"region_partition": queue, "edge_crash": queue}
    words = []
    for name, system in wanted.items():
        assert run_cli(["run", name, "--system", system, "--out", "x"]) == 2
        words.append(capsys.readouterr().err.strip().removeprefix("tallystick: "))
    pytester.makeconftest(STAND_IN)
    done = session(
        f"""
        import pytest

        @pytest.mark.parametrize("name", {list(wanted)})
        def test_it(tallystick, name):
            tallystick.run(name, system="{queue}", profile="standard")
        """
    )
    done.assert_outcomes(failed=2)
    text = "\n".join(done.outlines)
    assert "link_cut on edge-core:apac: queue" in words[0]
    assert all(f"tallystick: {one}" in text for one in words)
    assert not Path("results").exists()


def test_the_example_of_the_readme_runs(session, pytester: pytest.Pytester) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = re.findall(r"(def test_nobody_loses_messages.*?)\n\n\n", readme, re.DOTALL)
    pytester.makeconftest(STAND_IN)
    session(example).assert_outcomes(passed=1)


SLOW = """
import msgspec
from harness.report import result as r
from harness.run import verdict
from harness.testing import example_results as examples

def slow():
    base = examples.passed()
    limits = [r.Limit(metric="ack_p99_ms", op="<=", limit=1.0, measured=9.0, met=False)]
    return msgspec.structs.replace(
        base, limits=limits, verdict=verdict.decide(base.checks, limits)
    )

examples.slow = slow
"""


def test_limits_files_objects_and_async_tests(session, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(STAND_IN + SLOW)
    text = (Path(__file__).parents[2] / "scenarios" / "offline_messaging.py").read_text()
    (pytester.path / "mine.py").write_text(text.replace('"offline_messaging"', '"mine"'))
    done = session(
        """
        import asyncio
        from harness.scenario.loader import find

        def test_a_limit_of_the_scenario(tallystick):
            assert tallystick.run("hotkey_bucketing").verdict.limits == "MISSED"

        def test_a_limit_of_the_test(tallystick):
            tallystick.run("hotkey_bucketing", limits=["ack_p99_ms=1"])

        def test_a_limit_on_something_else(tallystick):
            tallystick.run("hotkey_bucketing", limits=["ack_max_ms=1"])

        def test_a_file_beside_the_test(tallystick):
            assert tallystick.run("mine.py").run.scenario == "mine"

        def test_an_object(tallystick):
            scenario = find("offline_messaging").scenario
            assert tallystick.run(scenario).run.scenario == "offline_messaging"

        def test_inside_an_event_loop(tallystick):
            async def inside():
                return tallystick.run("offline_messaging")

            assert asyncio.run(inside()).verdict.status == "PASS"
        """,
        example="slow",
    )
    done.assert_outcomes(passed=5, failed=1)
    assert "ack_p99_ms <= 1: 9, missed" in "\n".join(done.outlines)
    (line,) = [line for line in done.outlines if line.startswith("FAILED ")]
    assert "::test_a_limit_of_the_test - limit missed: " in line


@pytest.mark.parametrize("ci", [False, True])
def test_a_summary_line_begins_with_what_happened(
    session, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    if ci:
        monkeypatch.setenv("CI", "true")
    pytester.makeconftest(STAND_IN)
    done = session(
        """
        import pytest

        def test_loses(tallystick):
            tallystick.run("hotkey_bucketing")

        @pytest.fixture
        def after_a_run(tallystick):
            tallystick.run("hotkey_bucketing")

        def test_more(after_a_run):
            pass

        def test_of_somebody_else():
            raise ValueError("ours")

        def test_fails_by_itself():
            pytest.fail("as ever")

        def test_expects_it(tallystick):
            with pytest.raises(pytest.fail.Exception, match="3 acknowledged messages"):
                tallystick.run("hotkey_bucketing")
        """,
        example="failed",
    )
    done.assert_outcomes(passed=1, failed=3, errors=1)
    told = dict(line.split(" - ", 1) for line in done.outlines if re.match("FAILED |ERROR ", line))
    happened = "3 acknowledged messages were lost when edge-core eu-west was reset at 5.00 s: inbox"
    for place in ("FAILED test_it.py::test_loses", "ERROR test_it.py::test_more"):
        cut = told[place].removesuffix("...")
        assert happened.startswith(cut[: len(happened)]), told[place]
        assert len(cut) > 35
        # Where there is room for all of it, all of the sentence is there, and nothing else.
        assert told[place].endswith("read to the end.") is ci
    assert told["FAILED test_it.py::test_of_somebody_else"] == "ValueError: ours"
    assert told["FAILED test_it.py::test_fails_by_itself"] == "Failed: as ever"


def test_a_wrong_option_is_refused_by_pytest(session) -> None:
    done = session("def test_it(): pass", "--tallystick-profile=huge")
    assert done.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (5432, ("127.0.0.1", 5432)),
        ("db:5432", ("db", 5432)),
        ("[::1]:80", ("::1", 80)),
        (("h", 1), ("h", 1)),
        (("::1", 1), ("::1", 1)),
        ("postgresql://user:pw@localhost:5433/db?sslmode=require", ("localhost", 5433)),
        ("postgresql+psycopg://user:pw@localhost/db", ("localhost", 5432)),
        ("redis://:p%40w@[::1]", ("::1", 6379)),
    ],
)
def test_addresses(address, parsed) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize("address", ["db", ":80", "db:0", "db:http", 70_000])
def test_wrong_addresses(address) -> None:
    with pytest.raises(UsageError):
        parse_address(address)
