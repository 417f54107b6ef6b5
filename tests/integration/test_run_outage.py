"""A broker that goes away and stays away: the run ends soon and says so in the broker's words."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.links.ports import LOOPBACK, PortBlock
from harness.report.result import Result, Status
from harness.run.outage import CUT_OFF_PATIENCE_S, PATIENCE_S
from harness.systems.broker.settings import PASSWORD_VARIABLE
from harness.systems.valkey.server import find_server
from harness.testing.broker_runs import run_trouble

pytestmark = pytest.mark.integration

OUTAGE = r'''
"""Something happens to the broker from outside, two seconds after the load has begun."""
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import anyio

from tallystick import (
    Drain, Load, Login, Parameter, PayloadSpec, Plan, ProcessKill, Requires, Scenario, Send, Stream,
    Topology, at,
)


@dataclass(frozen=True)
class Happening:
    how: str
    name = "happening"

    async def carry_out(self, hands):
        if self.how == "killed":
            os.kill(hands.deployment.targets()[0].pid(), signal.SIGKILL)
        elif self.how == "edges killed":
            for target in hands.deployment.targets():
                if target.name.startswith("edge:"):
                    os.kill(target.pid(), signal.SIGKILL)
        elif self.how == "killed there":
            os.kill(int(Path(os.environ["OWN_PID"]).read_text()), signal.SIGKILL)
        elif self.how == "refuses":
            text = hands.deployment.config["server_config"]
            port = int(re.search(r"(?m)^port (\d+)", text)[1])
            password = re.search(r"(?m)^requirepass (\S+)", text)[1]
            limit = "CONFIG SET maxmemory 1 maxmemory-policy noeviction"
            words = f"AUTH {password}\r\n{limit}\r\n"
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(words.encode())
                await stream.receive()


def plan(p):
    waiting = Stream(to=("ann",), producers=1, count=20, batch_count=10)
    load = Stream(to=("ann", "bob"), producers=2, rate_per_s=100.0, batch_count=5)
    return Plan(
        vary=False,
        topology=Topology(edges=("near",)),
        phases=(
            Send(stream=waiting),
            Login(inboxes=("ann",)),
            Happening(how=p.how),
            Load(
                duration_s=3.0,
                streams=(load,),
                faults=(at(0.5, ProcessKill(duration_s=18.0), on="core"),) * (p.how == "planned"),
            ),
            Drain(within_s=60.0, stuck_after_s=40.0),
        ),
        payload=PayloadSpec(size_bytes_min=1, size_bytes_max=300),
        requires=Requires(sends_ok=1),
    )


SCENARIO = Scenario(
    name="outage", claim="Nothing is lost.", plan=plan,
    parameters=(
        Parameter(name="how", default="nothing", unit="", help="What happens.",
                  choices=("nothing", "killed", "edges killed", "killed there", "refuses",
                       "planned")),
    ),
)
'''

LEFT_S = 20.0
"""What a run may take beside its patience: start, login, the end, a busy machine."""


def ended_early(result: Result, code: str, patience_s: float = PATIENCE_S) -> str:
    """See that a run was ended for want of an answer, and return the reason."""
    assert result.verdict.status is Status.UNKNOWN, result.verdict.reason
    (reason,) = (one.reason for one in result.findings if one.reason_code == code)
    assert patience_s <= result.run.duration_s < patience_s + LEFT_S
    assert result.complete
    assert result.counts.sends.ok == 20
    return reason


def test_a_server_of_ours_that_was_killed_by_somebody(tmp_path: Path):
    code, result = run_trouble(tmp_path, "valkey", text=OUTAGE, how="killed")
    assert code == 3
    reason = ended_early(result, "system_died", CUT_OFF_PATIENCE_S)
    assert "valkey ended by itself" in reason
    assert result.verdict.reason_code == "node_died"
    assert "its log ends: " in result.verdict.reason
    assert "Ready to accept connections" in result.verdict.reason
    told = {(one.who, one.occasion) for one in result.client_errors}
    assert ("sender", "connect") in told
    assert ("receiver", "lost") in told
    assert all(one.last for one in result.client_errors)


def test_edges_that_are_all_dead_are_not_waited_for(tmp_path: Path):
    code, result = run_trouble(tmp_path, "reference", text=OUTAGE, how="edges killed")
    assert (code, result.verdict.reason_code) == (3, "node_died")
    assert "edge" in ended_early(result, "system_died", CUT_OFF_PATIENCE_S)
    assert result.run.duration_s < PATIENCE_S


def test_a_server_that_refuses_everything(tmp_path: Path):
    code, result = run_trouble(tmp_path, "valkey", text=OUTAGE, how="refuses")
    assert (code, result.verdict.reason_code) == (3, "system_refuses")
    assert "OOM command not allowed" in ended_early(result, "system_refuses")
    (refused,) = (
        one
        for one in result.client_errors
        if (one.who, one.occasion) == ("sender", "lost") and "OOM" in one.kind
    )
    assert refused.count > 50
    assert refused.last_ns - refused.first_ns > (PATIENCE_S - 2) * 1e9
    for name in ("summary.md", "result.json"):
        assert "OOM command not allowed" in (tmp_path / "out" / name).read_text()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Return the port of a server that is not the harness's own, and say which process it is."""
    ports = PortBlock.lock()
    port = ports.take()
    words = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(tmp_path), "--save", "",
             "--requirepass", "not shown"]  # fmt: skip
    process = subprocess.Popen([find_server(), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    (tmp_path / "pid").write_text(str(process.pid))
    monkeypatch.setenv("OWN_PID", str(tmp_path / "pid"))
    monkeypatch.setenv(PASSWORD_VARIABLE, "not shown")
    try:
        for line in process.stdout:
            if "Ready to accept" in line:
                break
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        ports.close()


def test_a_server_of_somebody_else_that_nobody_reaches(tmp_path: Path, server: int):
    where = f"{LOOPBACK}:{server}"
    code, result = run_trouble(
        tmp_path, "valkey", "--endpoint", where, text=OUTAGE, how="killed there"
    )
    assert (code, result.verdict.reason_code) == (3, "system_unreachable")
    reason = ended_early(result, "system_unreachable")
    assert where in reason
    assert "refused" in reason
    # It could not be tidied up either, and that is told beside.
    assert "left_behind" in [one.reason_code for one in result.findings]
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or b"not shown" not in file.read_bytes(), file


def test_a_server_that_a_plan_keeps_down_for_longer_is_no_outage(tmp_path: Path):
    code, result = run_trouble(tmp_path, "valkey", text=OUTAGE, how="planned")
    assert (code, result.findings) == (0, []), result.verdict.reason
    (kill,) = result.faults
    assert kill.healed_ns - kill.confirmed_ns > PATIENCE_S * 1e9
    assert result.client_errors, "what was told of a kill is told, whoever has killed"
