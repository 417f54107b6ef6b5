"""The port is an interface: a system that shares nothing with the reference is put under test.

The run is the real one: its own Toxiproxy, its own load processes, a scenario of a user's. Two
broken variants show that a pass on this system is worth something.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.report.codec import decode_result
from harness.report.result import CheckStatus, Result, Status

pytestmark = pytest.mark.integration

SCENARIO = '''
"""Clients of two edges come and go, and one edge's connections are reset."""
from tallystick import (
    Churn, Drain, LinkReset, Load, Login, Plan, Requires, Scenario, Send, Stream, Topology, at,
)

INBOXES = ("ann", "bob")

SCENARIO = Scenario(
    name="coming_and_going",
    claim="Nothing is lost while clients come and go.",
    plan=Plan(
        vary=False,
        # The latency keeps batches unanswered long enough for a cut to hit some of them.
        topology=Topology(edges=("near", "far"), latency_ms={"far": 20}),
        phases=(
            Send(stream=Stream(to=INBOXES, producers=2, count=20)),
            Login(inboxes=INBOXES),
            Load(
                duration_s=1.5,
                streams=(Stream(to=INBOXES, producers=4, rate_per_s=1_000.0, batch_count=5),),
                churn=Churn(sender_up_s=0.3, receiver_up_s=0.5, down_s=0.05),
                faults=(
                    at(0.5, LinkReset(), on="client-edge:far:*"),
                    at(1.0, LinkReset(wait_s=0.1), on="client-edge:*:sender-4"),
                ),
            ),
            Drain(within_s=15.0),
        ),
        requires=Requires(
            sends_ok=1_500, delivered=1_000, sender_reconnects=4, receiver_reconnects=1,
            fault_effects=2,
        ),
    ),
)
'''

BREAKING_ADAPTER = """
from harness.testing import queue_clients, queue_system

def submit(self, batch):
    raise RuntimeError("an error in the adapter")

queue_clients.QueueSender.submit = submit
SYSTEM = queue_system.QueueSystem()
"""

ACTORS = {*(f"sender-{n}" for n in range(6)), "reader-ann", "reader-bob"}
"""The senders of both phases, and the receivers."""

DETOUR_ADAPTER = """
from harness.testing import queue_clients, queue_system

EDGE = "{edge}"

class Detour(dict):
    turns = 0

    def __getitem__(self, link):
        self.turns += link.startswith(f"client-edge:{{EDGE}}")
        direct = self.turns % 4 == 1 and link.startswith(f"client-edge:{{EDGE}}")
        return super().__getitem__("direct" if direct else link)

class System(queue_system.QueueSystem):
    async def deploy(self, topology, links, run_dir, seed):
        running = await super().deploy(topology, links, run_dir, seed)
        server = next(iter(links.by_name.values())).upstream_port
        running.connect["ports"]["direct"] = server
        return running

    def connector(self, connect):
        return queue_clients.QueueConnector({{"ports": Detour(connect["ports"])}})

SYSTEM = System()
"""

NOT_PROMISED = {"A13", "B6", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "D6", "D7", "E1"}
"""Cursors, total order, buckets, epochs, fencing, presence, limits."""


def run(tmp_path: Path, system: str) -> tuple[int, Result]:
    scenario = tmp_path / "coming_and_going.py"
    scenario.write_text(SCENARIO)
    out = tmp_path / "out"
    place = f"harness.testing.queue_system:{system}"
    words = ["run", str(scenario), "--seed", "7", "--system", place, "--out", str(out)]
    code = run_cli(words)
    return code, decode_result((out / "result.json").read_bytes())


def run_here(folder: Path, system: str) -> subprocess.CompletedProcess[str]:
    """Run the scenario of a user's own folder as the installed command does."""
    # -P keeps the working folder off the path.
    script = "from harness.cli.main import main; main()"
    words = ["run", "./coming_and_going.py", "--system", system, "--out", "out"]
    return subprocess.run(
        [sys.executable, "-P", "-c", script, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


def statuses(result: Result) -> dict[str, CheckStatus]:
    return {check.id: check.status for check in result.checks}


def test_a_queue_in_memory_passes_what_it_promises_and_is_asked_nothing_else(tmp_path: Path):
    code, result = run(tmp_path, "SYSTEM")
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    (summary,) = tmp_path.glob("*/summary.md")
    assert "Incomplete" not in summary.read_text()
    found = statuses(result)
    assert {found[check] for check in NOT_PROMISED} == {CheckStatus.NOT_APPLICABLE}
    for check in ("A1", "A7", "B2", "B3", "B4", "B5"):
        assert found[check] is CheckStatus.PASS, check
    assert result.system.name == "queue"
    assert result.counts.sends.ok == result.counts.delivered >= 1_500
    # The readers of the audit go through the proxies of their load process, which is the second.
    links = {row.link.split(":")[2]: row for row in result.coverage}
    assert set(links) == {*ACTORS, "load-2"}
    assert all(row.covered and row.connections_counted for row in result.coverage)
    struck = {fault.target for fault in result.faults if fault.id == result.faults[-1].id}
    assert {target.split(":")[2] for target in struck} == {"sender-4"}


def test_a_queue_that_drops_acknowledged_batches_fails_with_a1(tmp_path: Path):
    code, result = run(tmp_path, "SYSTEM_LOSING")
    assert (code, result.verdict.status) == (1, Status.FAIL)
    lost = next(check for check in result.checks if check.id == "A1")
    assert lost.status is CheckStatus.FAIL
    # Every batch of the load has five messages; the forty of the first phase have one.
    assert lost.instances == result.counts.sends.ok - result.counts.delivered
    assert lost.instances % 5 == 0
    assert lost.witnesses
    assert statuses(result)["A7"] is CheckStatus.PASS


def test_a_queue_that_stores_resent_batches_again_fails_with_a7(tmp_path: Path):
    code, result = run(tmp_path, "SYSTEM_DOUBLING")
    assert (code, result.verdict.status) == (1, Status.FAIL)
    doubled = next(check for check in result.checks if check.id == "A7")
    assert doubled.status is CheckStatus.FAIL
    assert doubled.instances >= 5
    assert doubled.witnesses
    assert statuses(result)["A1"] is CheckStatus.PASS


def test_an_adapter_of_the_users_folder_that_breaks_is_named_as_the_reason(tmp_path: Path):
    (tmp_path / "coming_and_going.py").write_text(SCENARIO)
    (tmp_path / "my_adapter.py").write_text(BREAKING_ADAPTER)
    done = run_here(tmp_path, "my_adapter:SYSTEM")
    assert done.returncode == 70, done.stderr
    result = decode_result((tmp_path / "out" / "result.json").read_bytes())
    assert result.verdict.status is Status.ERROR
    assert "load process 1 ended by itself; see logs/load-1.log" in result.verdict.reason
    assert "an error in the adapter" in (tmp_path / "out" / "logs" / "load-1.log").read_text()


@pytest.mark.parametrize("edge", ["near", "far"])
def test_a_client_that_goes_around_its_proxy_makes_the_run_unknown(tmp_path: Path, edge: str):
    """The links of "far" are reset during the run, those of "near" are not."""
    (tmp_path / "coming_and_going.py").write_text(SCENARIO)
    (tmp_path / "my_adapter.py").write_text(DETOUR_ADAPTER.format(edge=edge))
    code = run_here(tmp_path, "my_adapter:SYSTEM").returncode
    result = decode_result((tmp_path / "out" / "result.json").read_bytes())
    assert (code, result.verdict.status) == (3, Status.UNKNOWN), result.verdict.reason
    assert result.verdict.reason_code == "link_bypassed"
    around = {row.link.split(":")[1] for row in result.coverage if not row.covered}
    assert around == {edge}
