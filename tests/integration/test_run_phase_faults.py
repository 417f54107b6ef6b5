"""What phases break by themselves stands in the journal, with its effect, like any other fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.report.codec import decode_result
from harness.report.result import Status

pytestmark = pytest.mark.integration

SCENARIO = '''
"""Nodes are killed, restarted and all clients cut, without a schedule of faults."""
from tallystick import (
    Drain, Kill, Load, Login, Plan, Requires, Restart, Scenario, Send, Start, Storm, Stream,
    Topology,
)

STREAM = Stream(to=("ann", "bob"), producers=4, rate_per_s=400.0, batch_count=4)

SCENARIO = Scenario(
    name="phase_faults",
    claim="Nothing is lost by what phases break.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("near", "far")),
        phases=(
            Login(inboxes=("ann", "bob")),
            Load(duration_s=1.5, streams=(STREAM,), during=((0.5, Storm(down_s=0.3)),)),
            Restart(role="core", kill=True),
            Restart(role="core"),
            Kill(role="edge", index=1),
            Send(stream=Stream(to=("ann",), count=50)),
            Start(role="edge", index=1),
            Kill(role="edge"),
            Drain(within_s=30.0),
        ),
        requires=Requires(sends_ok=500, delivered=500, sender_reconnects=4, fault_effects=5),
    ),
)
'''


def test_what_phases_break_is_told_with_its_effect(tmp_path: Path) -> None:
    scenario = tmp_path / "phase_faults.py"
    scenario.write_text(SCENARIO)
    out = tmp_path / "out"
    code = run_cli(["run", str(scenario), "--seed", "3", "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert [(one.id, one.kind, one.target) for one in result.faults] == [
        ("p1", "storm", "clients"),
        ("p2", "process_kill", "core"),
        ("p3", "process_terminate", "core"),
        ("p4", "process_kill", "edge:far"),
        ("p5", "process_kill", "edge:near"),
    ]
    storm, *nodes = result.faults
    # Four senders and two readers, all connected.
    assert storm.effect == {"connections": 6}
    assert storm.confirmed_ns is not None
    assert storm.healed_ns is not None
    assert storm.healed_ns - storm.confirmed_ns >= 0.3e9
    for one in nodes:
        assert one.effective
        assert (one.effect["gone"], one.effect["back"]) == (1, 1)
        assert one.confirmed_ns is not None
        assert one.healed_ns is not None
        assert one.requested_ns <= one.confirmed_ns <= one.healed_ns
    assert result.bound is not None
    assert result.bound.kills == 3
