"""`tallystick conform`: sound adapters pass, broken ones fail the case that protects from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.conform import cases as _cases  # noqa: F401  # Registers them.
from harness.conform.case import CASES
from harness.systems.kafka.server import missing

pytestmark = pytest.mark.integration

QUEUE = "harness.testing.queue_system"


def conform(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str]]:
    """Return the exit code and how each case ended."""
    code = run_cli(["conform", *words])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return code, {line[1]: line[0] for line in lines if len(line) == 4 and line[3] == "s"}


@pytest.mark.parametrize("system", [f"{QUEUE}:SYSTEM", "reference", "nats", "valkey"])
def test_sound_adapters_pass_all_that_applies(
    system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code, ended = conform(capsys, system, "--out", str(tmp_path / "out"))
    assert code == 0, ended
    assert len(ended) == 18
    assert set(ended.values()) <= {"PASS", "NOT_APPLICABLE"}
    # The queue has no cursor and no process; the others are asked everything.
    skipped = [name for name, word in ended.items() if word == "NOT_APPLICABLE"]
    assert len(skipped) == (4 if system.startswith(QUEUE) else 0)


@pytest.mark.skipif(bool(missing()), reason=f"no Kafka server: {missing()}")
def test_kafka_does_its_duties_while_its_server_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    # Three more end the server, which takes half a minute; whole runs do so in `test_kafka`.
    duties = [one.name for one in CASES if not one.abilities]
    code, ended = conform(capsys, "kafka", "--only", ",".join(duties), "--out", str(tmp_path))
    assert (code, ended) == (0, dict.fromkeys(duties, "PASS"))
    assert len(duties) == 15


@pytest.mark.parametrize(
    ("system", "case"),
    [
        ("SYSTEM_LOSING", "ok_is_found_by_a_later_reader"),
        ("SYSTEM_DOUBLING", "resent_messages_are_stored_once"),
    ],
)
def test_a_broken_adapter_fails_the_case_that_protects_from_it(
    system: str, case: str, capsys: pytest.CaptureFixture[str]
):
    code, ended = conform(capsys, f"{QUEUE}:{system}", "--only", case)
    assert (code, ended) == (1, {case: "FAIL"})


def test_a_case_that_does_not_exist_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert run_cli(["conform", "reference", "--only", "no_such_case"]) == 2
    assert "content_comes_back_unchanged" in capsys.readouterr().err


def test_cases_can_be_listed_without_trying_them(capsys: pytest.CaptureFixture[str]):
    assert run_cli(["conform", "reference", "--list"]) == 0
    text = capsys.readouterr().out
    assert "what is sent again over resets lies in the log once" in text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    # A name stands alone; all that is said of it has a margin, however long it is.
    assert {line.strip() for line in lines if not line.startswith("    ")} == {
        case.name for case in CASES
    }
