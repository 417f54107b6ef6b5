"""Load processes under faults: a killed one tears only its own history, a paused one goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.history.index import read_index
from harness.report.codec import decode_result
from harness.report.result import CheckStatus, Status

pytestmark = pytest.mark.integration

SCENARIO = '''
"""The processes of the load are paused and killed while messages flow."""
from tallystick import (
    Drain, Load, Login, Plan, ProcessKill, ProcessPause, Requires, Scenario, Send, Stream,
    Topology, at,
)

STREAM = Stream(to=("ann", "bob"), producers=4, rate_per_s=800.0, batch_count=4)

SCENARIO = Scenario(
    name="load_killed",
    claim="A killed client loses nothing that was acknowledged.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("near",)),
        phases=(
            Login(inboxes=("ann", "bob")),
            Load(
                duration_s=3.0,
                streams=(STREAM,),
                faults=(
                    at(0.3, ProcessPause(duration_s=0.4), on="load:reader"),
                    at(1.2, ProcessKill(duration_s=0.1), on="load:reader"),
                    at(1.4, ProcessKill(duration_s=0.1), on="load:sender-1"),
                ),
            ),
            Send(stream=Stream(to=("ann",), count=50)),
            Drain(within_s=20.0),
        ),
        requires=Requires(sends_ok=1_000, delivered=1_000, fault_effects=3),
        load_processes=2,
    ),
)
'''


ASKED_TO_END = SCENARIO.replace("ProcessKill(duration_s=0.1)", "ProcessTerminate()").replace(
    "ProcessKill, ", "ProcessTerminate, "
)


def test_load_processes_that_are_asked_to_end_do_so_in_order_and_come_back(tmp_path: Path) -> None:
    scenario = tmp_path / "load_ended.py"
    scenario.write_text(ASKED_TO_END)
    out = tmp_path / "out"
    code = run_cli(["run", str(scenario), "--seed", "3", "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert [fault.effective for fault in result.faults] == [True] * 3
    ended = [fault for fault in result.faults if fault.kind == "process_terminate"]
    assert all(fault.effect["gone"] == fault.effect["back"] == 1 for fault in ended)
    # Nothing of their histories is torn, and of every message is said what became of it.
    closed = {one.recorder: one.closed for one in read_index(out / "history").segments}
    assert closed == dict.fromkeys(["runner", *(f"load-{i}" for i in range(1, 6))], "orderly")
    said = {check.id: check.status for check in result.checks}
    assert (said["D3"], said["D4"]) == (CheckStatus.PASS, CheckStatus.PASS)


@pytest.mark.parametrize("system", ["reference", "harness.testing.queue_system:SYSTEM"])
def test_killed_load_processes_are_replaced_and_their_torn_histories_are_legal(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system != "reference":
        # What it is asked for here is done to the harness' own processes.
        monkeypatch.setattr(
            "harness.testing.queue_system.QueueSystem.abilities", frozenset({"kill", "pause"})
        )
    scenario = tmp_path / "load_killed.py"
    scenario.write_text(SCENARIO)
    out = tmp_path / "out"
    code = run_cli(["run", str(scenario), "--seed", "3", "--system", system, "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert [fault.effective for fault in result.faults] == [True] * 3
    closed = {one.recorder: one.closed for one in read_index(out / "history").segments}
    # 1 and 2 carried senders, 3 the receivers; 4 and 5 took the place of those that were killed.
    assert closed == {
        "runner": "orderly", "load-1": "killed", "load-2": "orderly", "load-3": "killed",
        "load-4": "orderly", "load-5": "orderly",
    }  # fmt: skip
    # A kill of a client says nothing of what a node loses when it is killed.
    assert result.bound is not None
    assert result.bound.kills == 0
