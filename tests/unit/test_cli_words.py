"""The verbs that say something: list, show, explain, schema, help; and wrong usage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from harness.cli.main import EXIT_USAGE, VERBS, run_cli
from harness.report import codec
from harness.scenario.loader import own_names
from harness.testing import example_results as examples

OWN = own_names()

USERS_OWN = '''
"""Late login: a reader that comes late finds everything.

Method: send first, log in later.
"""
from tallystick import Drain, Parameter, Plan, Scenario, Send, Stream, Topology

def plan(p):
    return Plan(
        topology=Topology(edges=("us-east",)),
        phases=(Send(stream=Stream(to=("late",), count=p.count)), Drain()),
        limits=("{limit}",),
    )

SCENARIO = Scenario(
    name="late_login",
    claim="Who comes late finds everything.",
    plan=plan,
    parameters=(Parameter(name="count", default=10, unit="messages", help="How many."),),
)
'''


@pytest.fixture
def own_scenario(tmp_path: Path) -> str:
    path = tmp_path / "late_login.py"
    path.write_text(USERS_OWN.replace("{limit}", "ack_p99_ms <= 500"))
    return str(path)


def test_help_names_every_verb_and_shows_examples(capsys) -> None:
    assert run_cli(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f"  {verb.name} " in text
    assert "    tallystick run ./late_login.py" in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_has_help_of_its_own(verb: str, capsys) -> None:
    assert run_cli([verb, "--help"]) == 0
    assert f"Usage: tallystick {verb}" in capsys.readouterr().out


def test_without_a_verb_there_is_help_and_no_success(capsys) -> None:
    assert run_cli([]) == 2
    assert "Usage: tallystick" in capsys.readouterr().out


def test_help_comes_quickly_because_heavy_modules_stay_out() -> None:
    # Counted by modules, since a time would say more about the machine.
    code = (
        "import sys; from harness.cli.main import run_cli; run_cli(['--help']); "
        "print([m for m in ('numpy', 'rich', 'anyio', 'uvloop', 'apsw', 'msgspec', 'docker') "
        "if m in sys.modules], file=sys.stderr)"
    )
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.strip() == "[]"
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", OWN)
def test_list_and_show_name_our_scenarios(name: str, capsys) -> None:
    assert run_cli(["list"]) == 0
    assert name in capsys.readouterr().out.splitlines()
    assert run_cli(["show", name.replace("_", "-")]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name} (built-in)")
    assert "Claim: " in text
    assert "Checks that carry the claim" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_list_and_show_as_json(own_scenario: str, capsys) -> None:
    assert run_cli(["list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == OWN
    assert run_cli(["show", own_scenario, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["name"] == "late_login"
    assert shown["parameters"] == [
        {
            "name": "count", "type": "int", "unit": "messages", "help": "How many.",
            "defaults": {"smoke": 10, "standard": 10, "nightly": 10},
            "minimum": None, "maximum": None, "choices": [],
        }
    ]  # fmt: skip
    assert shown["limits"]["smoke"] == ["ack_p99_ms <= 500"]


@pytest.mark.parametrize("kind", ["result", "suite"])
def test_schema_prints_what_results_are_held_against(kind: str, capsys) -> None:
    assert run_cli(["schema", kind]) == 0
    printed = json.loads(capsys.readouterr().out)
    example = examples.suite() if kind == "suite" else examples.passed()
    jsonschema.Draft202012Validator(printed).validate(json.loads(codec.encode(example)))


def test_explain_says_meaning_and_exit_codes(capsys) -> None:
    assert run_cli(["explain", "a1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("A1 LOST\n")
    assert max(len(line) for line in text.splitlines()) <= 80
    assert run_cli(["explain", "exit-codes"]) == 0
    assert "130 and 143" in " ".join(capsys.readouterr().out.split())
    assert run_cli(["explain"]) == 0
    assert "B4             REALTIME" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("lst", "did you mean 'list'"),
        ("list --jso", "--jso"),
        ("show", "scenario"),
        ("show hotkey-buckting", "did you mean 'hotkey_bucketing'"),
        ("show ./nowhere.py", "no file './nowhere.py'"),
        ("explain A99", "did you mean 'A9'"),
        ("schema results", "result or suite"),
        ("run", "scenario"),
        ("run global_fan_in --seed -1", "from 0 up to 9007199254740991"),
        ("run global_fan_in --seed 9007199254740992", "from 0 up to 9007199254740991"),
        ("run global_fan_in --seed abc", "valid integer"),
        ("run global_fan_in --profile fast", "one of smoke, standard, nightly"),
        ("run global_fan_in --set speed=1", "no parameter 'speed'; this scenario has"),
        ("run hotkey_bucketing --set senders", "write key=value"),
        ("run hotkey_bucketing --set senders=0", "a whole number from 1 up to 64"),
        ("run hotkey_bucketing --set senders=nan", "a whole number from 1 up to 64"),
        ("run hotkey_bucketing --set senders=2 --set senders=3", "given twice"),
        ("run global_fan_in --system refrence", "did you mean 'reference'"),
        ("run global_fan_in --keep-history no", "always, on-failure, never"),
        ("run global_fan_in --out {tmp}/full", "not empty"),
        ("run global_fan_in --system nothing", "one of kafka, nats"),
        ("verify --only nope", "no scenario 'nope' (`tallystick list` shows all)"),
        ("verify --only offline_mesaging", "did you mean 'offline_messaging'"),
        ("run README.md", "no scenario file at 'README.md'"),
        ("run nowhere.md", "no scenario file at 'nowhere.md'"),
        ("run my.scenarios", "or package.module:NAME"),
        ("run /nowhere/late", "no scenario file at '/nowhere/late'"),
        ("run global_fan_in --limit foo=1", "no metric 'foo' (`tallystick explain limits`"),
        ("verify --only=", "an empty name"),
        ("verify --profile slow", "one of smoke, standard, nightly"),
        ("check {tmp}/full", "no result.json or suite.json"),
        ("serve", "ommand"),
        ("serve core", "--database"),
        ("serve core --database {tmp}/x.db", "--edge-key-file FILE, or $TALLYSTICK_EDGE_KEY"),
        ("serve core --database {tmp}/x.db --edge-key-file {tmp}/none", "No such file"),
        ("serve core --database {tmp}/x.db --edge-key-file {tmp}/full/file", "read by others"),
        ("serve edge --core-port 1", "--token-file FILE, or $TALLYSTICK_EDGE_TOKEN"),
        ("serve core --database {tmp}/x.db --certificate c", "both or neither"),
        ("serve edge --core-port 1 --certificate c --certificate-key k", "--authority FILE"),
        ("serve token boss ann --key-file {tmp}/none", "one of client, edge, admin"),
        ("serve token client ann --key-file {tmp}/none --account -2", "from -1 up to 4294967295"),
        ("serve core --database {tmp}", "a folder"),
        ("serve core --database {tmp}/x.db --host 0.0.0.0", "loopback"),
        ("serve core --database {tmp}/x.db --port 65536", "from 0 up to 65535"),
        ("serve core --database {tmp}/x.db --retention week", "one of run, ack"),
        ("serve core --database {tmp}/none/x.db", "no folder"),
        ("serve edge --core-port 1 --core-links 0", "from 1 up to 64"),
        ("clean --keep -1", "keep"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_is_allowed(
    arguments: str, says: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch(0o644)
    assert run_cli(arguments.replace("{tmp}", str(tmp_path)).split()) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert says in told[0]


def test_there_is_nothing_to_clean_where_nothing_was_run(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(["clean"]) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_a_limit_that_does_not_exist_is_found_before_anything_starts(
    tmp_path: Path, capsys
) -> None:
    path = tmp_path / "late_login.py"
    path.write_text(USERS_OWN.replace("{limit}", "ack_p99 <= 500"))
    assert run_cli(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "did you mean 'ack_p99_ms'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("profile", ["smoke", "standard", "nightly"])
def test_every_profile_of_our_scenarios_can_be_planned(name: str, profile: str, capsys) -> None:
    assert run_cli(["run", name, "--dry-run", "--profile", profile]) == 0
    assert f"{name}, {profile}, seed " in capsys.readouterr().out


def test_a_dry_run_shows_phases_and_faults_and_starts_nothing(tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    code = run_cli(["run", "global_fan_in", "--dry-run", "--seed", "5", "--out", str(out)])
    assert code == 0
    text = capsys.readouterr().out
    assert text.startswith("global_fan_in, standard, seed 5\n")
    assert "Load(duration_s=" in text
    assert " on edge-core:" in text
    assert not out.exists()


def test_a_dry_run_tells_the_faults_in_the_order_of_their_times(tmp_path: Path, capsys) -> None:
    file = tmp_path / "later_first.py"
    file.write_text("""
from tallystick import *
faults = tuple(at(t, LinkReset(), on="client-edge:*") for t in (3, 0.5, 2))
load = Load(duration_s=4, streams=(Stream(to=("bob",), rate_per_s=9),), faults=faults)
plan = Plan(topology=Topology(edges=("here",)), phases=(load, Drain()))
SCENARIO = Scenario(name="later_first", claim="In order.", plan=plan)
""")
    assert run_cli(["run", str(file), "--dry-run"]) == 0
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " s  link_" in line]
    assert told == ["0.500", "2.000", "3.000"]


def test_an_unforeseen_error_is_one_line_and_never_1(monkeypatch, capsys) -> None:
    def broken(word: str) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("harness.cli.explain.find", broken)
    assert run_cli(["explain", "A1"]) == 70
    told = capsys.readouterr().err
    assert (
        told == "tallystick: ZeroDivisionError: deep inside; `tallystick --debug …` shows where\n"
    )
    assert run_cli(["--debug", "explain", "A1"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_before_anything_runs_is_130(monkeypatch) -> None:
    def interrupted(word: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.explain.find", interrupted)
    assert run_cli(["explain", "A1"]) == 130


def test_a_pipe_that_nobody_reads_never_gives_the_code_of_a_fail() -> None:
    command = [sys.executable, "-m", "tallystick", "schema"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writer)
    assert ended.returncode == 128 + signal.SIGPIPE


def test_a_module_that_leaves_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("raise SystemExit(1)\n")
    assert run_cli(["run", str(tmp_path / "gone.py"), "--dry-run"]) == EXIT_USAGE
