"""`tallystick conform`: sound adapters pass, broken ones fail the case that protects from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.conform.registered import CASES
from harness.systems.kafka.server import missing
from harness.systems.nats.adapter import NatsSystem

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
    assert len(ended) == len(CASES) == 23
    assert set(ended.values()) <= {"PASS", "NOT_APPLICABLE"}
    # The queue has no cursor and no process, and NATS may store a resend of what was purged.
    skipped = [name for name, word in ended.items() if word == "NOT_APPLICABLE"]
    few = {f"{QUEUE}:SYSTEM": 6, "nats": 1}
    assert len(skipped) == few.get(system, 0)


def test_nats_would_not_keep_the_promise_that_it_does_not_make_when_it_trims(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(NatsSystem, "promises_in", lambda self, _topology: self.promises)
    case = "a_resend_is_known_when_its_original_is_gone"
    assert conform(capsys, "nats", "--only", case) == (1, {case: "FAIL"})


def test_a_restart_that_takes_longer_than_the_system_says_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(NatsSystem, "restart_within_s", 0.01)
    case = "a_restart_takes_no_longer_than_declared"
    assert conform(capsys, "nats", "--only", case) == (1, {case: "FAIL"})


@pytest.mark.skipif(bool(missing()), reason=f"no Kafka server: {missing()}")
def test_kafka_does_its_duties_while_its_server_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    # Four more end the server, which takes half a minute; whole runs do so in `test_kafka`.
    duties = [one.name for one in CASES if not one.abilities]
    code, ended = conform(capsys, "kafka", "--only", ",".join(duties), "--out", str(tmp_path))
    assert (code, ended) == (0, dict.fromkeys(duties, "PASS"))
    assert len(duties) == 19


@pytest.mark.parametrize(
    ("system", "case"),
    [
        ("SYSTEM_LOSING", "ok_is_found_by_a_later_reader"),
        ("SYSTEM_DOUBLING", "resent_messages_are_stored_once"),
        ("SYSTEM_SLEEPING", "a_sender_that_comes_back_is_answered_at_once"),
        ("SYSTEM_SLEEPING", "a_receiver_that_comes_back_is_served_at_once"),
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
