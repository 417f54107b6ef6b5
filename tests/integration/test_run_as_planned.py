"""What was planned and did not happen is never passed over: whole runs, also at a real endpoint."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.links.ports import LOOPBACK, PortBlock
from harness.report.codec import decode_result
from harness.report.result import Result, Status
from harness.run.brief import read_brief
from harness.systems.nats.server import find_server

pytestmark = pytest.mark.integration

HEAD = """
from dataclasses import dataclass
from tallystick import *

STREAM = Stream(to=("a",), producers=2, rate_per_s=200)
RESET = at(0.4, LinkReset(), on="client-edge:eu:*")
TOPOLOGY = Topology(edges=("eu",))


@dataclass(frozen=True)
class Waves:
    performs: tuple = ()
    really: tuple = ()
    name: str = "waves"

    async def carry_out(self, hands):
        for phase in self.really:
            await hands.perform(phase)


def made(*phases, checks=(), **more):
    plan = Plan(topology=TOPOLOGY, phases=phases, requires=Requires(**more))
    return Scenario(name="mine", claim="Nothing is lost.", plan=plan, checks=checks)


"""

ONLY_KILL = """
KILL = at(1, ProcessKill(), on="core", optional={optional})
SCENARIO = made(Load(duration_s=2, streams=(STREAM,), faults=(KILL, RESET)))
"""


def run_it(
    folder: Path, text: str, *words: str, name: str = "out"
) -> tuple[int, Result | None, Path]:
    file, out = folder / "mine.py", folder / name
    file.write_text(HEAD + text)
    code = run_cli(["run", str(file), "--seed", "5", "--out", str(out), *words])
    stored = out / "result.json"
    return code, decode_result(stored.read_bytes()) if stored.is_file() else None, out


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server that is not the harness's own."""
    ports = PortBlock.lock()
    port = ports.take()
    config = tmp_path / "own.conf"
    config.write_text(
        f'host: {LOOPBACK}\nport: {port}\njetstream {{ store_dir: "{tmp_path / "own"}" }}\n'
    )
    process = subprocess.Popen([find_server(), "-c", config], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "Server is ready" in line:
                break
        yield f"{LOOPBACK}:{port}"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        ports.close()


def test_a_kill_at_an_endpoint_is_refused_before_anything_is_started(
    tmp_path: Path, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--system", "nats", "--endpoint", endpoint)
    code, result, out = run_it(tmp_path, ONLY_KILL.format(optional=False), *words)
    assert (code, result) == (2, None)
    assert "process_kill on core: nats at an endpoint: its processes are not ours" in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_an_optional_kill_at_an_endpoint_stands_beside_the_verdict_of_every_report(
    tmp_path: Path, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    words = ("--system", "nats", "--endpoint", endpoint, "--markdown", str(page), "--html")
    code, result, out = run_it(tmp_path, ONLY_KILL.format(optional=True), *words)
    assert result is not None
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    told = ("process_kill on core", "nats at an endpoint: its processes are not ours")
    assert [(one.what, one.why, one.times) for one in result.not_tried] == [(*told, 1)]
    assert result.notes == []
    assert result.verdict.reason.endswith("checks passed; 1 planned thing not tried")
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:2] == ["PASS", "mine,"]
    assert "1 planned thing not tried" in shown[0]
    assert any(line.split()[:3] == ["not", "tried", "process_kill"] for line in shown[:4])
    for report in (out / "summary.md", page):
        head = report.read_text().splitlines()
        assert head[0].startswith("# PASS, 1 planned thing not tried: mine")
        assert ": ".join(told) in "\n".join(head[:6]).replace("\\_", "_")
    assert '<skipped message="nats at an endpoint: its' in (out / "junit.xml").read_text()
    first_screen = (out / "report.html").read_text().split("<body>")[1][:1_500]
    assert "1 planned thing not tried" in first_screen
    assert ": ".join(told) in first_screen
    # The stored result is held against the schedule, which has it too.
    assert run_cli(["check", str(out)]) == 0
    assert ": ".join(told) in capsys.readouterr().out
    stored = json.loads((out / "result.json").read_text())
    stored["not_tried"] = []
    (out / "result.json").write_text(json.dumps(stored))
    assert run_cli(["check", str(out)]) == 70
    assert "not_tried" in capsys.readouterr().err


def test_faults_and_promotions_that_an_own_phase_performs_are_part_of_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
WAVES = (
    Load(duration_s=1, streams=(STREAM,), faults=(RESET,)),
    Promote(inbox="a", bucket_count=3),
    Load(duration_s=1, streams=(STREAM,), faults=(at(0.5, LinkReset(), on="edge-core:eu"),)),
)
SCENARIO = made(Waves(performs=WAVES, really=WAVES), fault_effects=2, resizes=1)
"""
    file = tmp_path / "mine.py"
    file.write_text(HEAD + text)
    assert run_cli(["run", str(file), "--dry-run"]) == 0
    assert "link_reset(wait_s=2.0) on edge-core:eu" in capsys.readouterr().out
    code, result, out = run_it(tmp_path, text)
    assert result is not None
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    # A link that is reset was opened for it, so this has an effect.
    assert {one.target.partition(":")[0] for one in result.faults} == {"client-edge", "edge-core"}
    assert all(one.effective for one in result.faults)
    brief = read_brief(out)
    assert [[one["on"] for one in faults] for faults in brief.faults] == [
        ["client-edge:eu:*"],
        ["edge-core:eu"],
    ]
    assert brief.promotions == 1
    monkeypatch.chdir(tmp_path)
    again = tmp_path / "again"
    assert run_cli(["replay", str(out), "--out", str(again)]) == 0
    assert read_brief(again).faults == brief.faults
    replayed = decode_result((again / "result.json").read_bytes())
    assert not any("plans other phases" in note for note in replayed.notes)


@pytest.mark.parametrize(
    ("phase", "why"),
    [
        ("Load(duration_s=1, streams=(STREAM,), faults=(RESET,))", "a load with faults"),
        ('Promote(inbox="a", bucket_count=3)', "performs a promotion (Promote)"),
        ("Waves(performs=(Drain(),))", "a phase that performs others"),
    ],
)
def test_what_an_own_phase_does_not_declare_it_may_not_perform(
    tmp_path: Path, phase: str, why: str
) -> None:
    text = f"""
SEND = Send(stream=Stream(to=("a",), count=5))
SCENARIO = made(Load(duration_s=1, streams=(STREAM,), faults=(RESET,)), Waves(really=({phase},)))
"""
    code, result, _ = run_it(tmp_path, text)
    assert result is not None
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert why in result.verdict.reason
    assert "give the phase an attribute performs" in result.verdict.reason


def test_a_kill_that_an_own_phase_does_not_declare_stands_in_the_journal_or_is_refused(
    tmp_path: Path,
) -> None:
    text = """
KILL = Restart(role="core", kill=True)
LOAD = Load(duration_s=1, streams=(STREAM,), faults=(RESET,))
SCENARIO = made(LOAD, Waves(really=(KILL,)), fault_effects=2)
"""
    code, result, _ = run_it(tmp_path, text)
    assert result is not None
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert ("process_kill", "core") in [(one.kind, one.target) for one in result.faults]
    system = ("--system", "harness.testing.queue_system:SYSTEM")
    code, result, _ = run_it(tmp_path, text, *system, name="other")
    assert result is not None
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert "what cannot be, phase Restart of core: queue has no ability" in result.verdict.reason


def test_what_an_own_phase_declares_and_does_not_perform_is_not_passed_over(
    tmp_path: Path,
) -> None:
    text = """
WAVE = Send(stream=Stream(to=("a",), count=5))
SCENARIO = made(Waves(performs=(WAVE,)), Load(duration_s=1, streams=(STREAM,), faults=(RESET,)))
"""
    code, result, _ = run_it(tmp_path, text)
    assert result is not None
    assert (code, result.verdict.status) == (3, Status.UNKNOWN)
    assert result.verdict.reason_code == "not_performed"
    assert "the own phase waves declares a Send and never did it" in result.verdict.reason


def test_a_check_of_the_claim_that_had_nothing_to_judge_makes_no_pass(tmp_path: Path) -> None:
    load = "Load(duration_s=1, streams=(STREAM,), faults=(RESET,))"
    code, result, out = run_it(tmp_path, f'SCENARIO = made({load}, checks=("A1", "E2"))')
    assert result is not None
    assert (code, result.verdict.status) == (3, Status.UNKNOWN)
    assert result.verdict.reason_code == "claim_unchecked"
    assert "E2" in result.verdict.reason
    assert run_cli(["check", str(out)]) == 3


def test_a_churn_that_cut_nobody_makes_no_pass(tmp_path: Path) -> None:
    churn = "churn=Churn(receiver_up_s=1.0)"
    # Nobody is logged in while the load lasts.
    code, result, _ = run_it(
        tmp_path, f"SCENARIO = made(Load(duration_s=1, streams=(STREAM,), {churn}))"
    )
    assert result is not None
    assert (code, result.verdict.status) == (3, Status.UNKNOWN)
    assert "0 receiver reconnects, 1 required" in result.verdict.reason
