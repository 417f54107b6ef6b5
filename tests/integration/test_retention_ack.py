"""Retention "ack" on every system: what was read is dropped, the core is killed, resends come."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
import pytest
from nats.js.api import StreamConfig

from harness.cli.main import run_cli
from harness.links.ports import LOOPBACK, PortBlock
from harness.report.codec import decode_result
from harness.report.result import CheckStatus, Status
from harness.systems.kafka.server import missing
from harness.systems.nats.adapter import NatsSystem
from harness.systems.nats.server import find_server, write_config
from harness.testing.broker_runs import check_of, failed_checks

pytestmark = pytest.mark.integration

PURGED = '''
"""Answers vanish, the reader acknowledges and the store drops, the core is killed."""
from tallystick import (
    Drain, LinkCutOneWay, Load, Login, Plan, ProcessKill, Requires, Scenario, Stream, Topology, at,
)

FAULTS = (
    at(0.5, LinkCutOneWay(direction="downstream", duration_s=3.0), on="client-edge:here:sender-0"),
    at(2.0, ProcessKill(), on="core"),
)
SCENARIO = Scenario(
    name="purged",
    claim="Nothing is lost, though what was read is dropped and the core is killed.",
    checks=("A1",),
    optional_checks=("A7",),
    plan=Plan(
        vary=False,
        topology=Topology(edges=("here",), retention="ack"),
        phases=(
            Login(inboxes=("bob",)),
            Load(duration_s=5, streams=(Stream(to=("bob",), rate_per_s=100),), faults=FAULTS),
            Drain(within_s=60.0),
        ),
        requires=Requires(sends_ok=400, delivered=400, fault_effects=2),
    ),
)
'''

REACHED = {
    "reference": {"core.began_empty", "core.recovered", "client.connection_lost_amid_batches"},
    "valkey": {"broker.resent", "valkey.known"},
    "nats": {"broker.resent", "broker.reconnected_amid_batches"},
    "kafka": {"broker.resent", "kafka.resent_by_the_library"},
}
"""Rare states that the run must come to."""

KAFKA = pytest.param("kafka", marks=pytest.mark.skipif(bool(missing()), reason=missing()))


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """Return the scenario's file."""
    path = tmp_path / "purged.py"
    path.write_text(PURGED)
    return path


@pytest.mark.parametrize("system", ["reference", "valkey", "nats", KAFKA])
def test_what_is_promised_under_retention_ack_holds_and_the_drain_comes_to_its_end(
    system: str, scenario: Path, tmp_path: Path
):
    out = tmp_path / "out"
    code = run_cli(["run", str(scenario), "--system", system, "--seed", "1", "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.sends.ok == result.counts.delivered
    # Told by nodes, one of which was killed, and by load processes.
    assert set(result.reached) >= REACHED[system]
    once = check_of(result, "A7")
    if system == "nats":
        assert once.status is CheckStatus.NOT_APPLICABLE
        assert any("under retention 'ack'" in one.why for one in result.not_tried)
    else:
        assert once.status is CheckStatus.PASS
    if system == "reference":
        # Its store was looked at, and is rightly empty.
        assert check_of(result, "C8").status is CheckStatus.NOT_APPLICABLE
        assert check_of(result, "C1").status is CheckStatus.NOT_APPLICABLE


def test_nats_stores_resends_of_what_was_purged_twice(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # As the adapter promised before.
    monkeypatch.setattr(NatsSystem, "promises_in", lambda self, _topology: self.promises)
    out = tmp_path / "out"
    code = run_cli(["run", str(scenario), "--system", "nats", "--seed", "1", "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    # What the adapter takes back is what the second copies break, and nothing else fails.
    assert "A7" in failed_checks(result)
    assert set(failed_checks(result)) <= {"A7", "B1", "B2", "B4"}
    assert check_of(result, "A7").instances > 50


@contextmanager
def serving(config: Path) -> Iterator[None]:
    """Run a server that is killed at the end."""
    process = subprocess.Popen([find_server(), "-c", config], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "Server is ready" in line:
                break
        yield
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


async def publish(port: int, *, make: bool = False, purge: bool = False) -> bool:
    """Publish a message under the one id; return whether it was known. Purge it then, perhaps."""
    client = await nats.connect(f"nats://{LOOPBACK}:{port}", token="token")
    stream = client.jetstream()
    if make:
        await stream.add_stream(StreamConfig(name="s", subjects=["s"], duplicate_window=3_600))
    answer = await stream.publish("s", b"message", headers={"Nats-Msg-Id": "one"})
    if purge:
        await stream.purge_stream("s", seq=answer.seq + 1)
    await client.close()
    return bool(answer.duplicate)


@pytest.mark.parametrize(
    ("kill", "purge", "again"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_nats_server_forgets_the_ids_of_purged_messages_when_it_starts_anew(
    tmp_path: Path, kill: bool, purge: bool, again: bool
):
    # docs/findings.md: nats-py alone, no adapter and no proxy. If this changes, so may the promise.
    ports = PortBlock.lock()
    try:
        port = ports.take()
        config = write_config(tmp_path, port, "token", "always")
        with serving(config):
            assert not asyncio.run(publish(port, make=True, purge=purge))
            if not kill:
                known = asyncio.run(publish(port))
        if kill:
            with serving(config):
                known = asyncio.run(publish(port))
        assert known is not again
    finally:
        ports.close()
