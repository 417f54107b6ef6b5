"""A real NATS server: with JetStream it keeps what it acknowledged, without it the harness sees."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from harness.links.ports import LOOPBACK, PortBlock
from harness.report.result import Status
from harness.systems.broker.settings import PASSWORD_VARIABLE
from harness.systems.nats.server import find_server, write_config
from harness.systems.registry import load_system
from harness.testing.broker_runs import SEEDS, check_of, failed_checks, run_trouble

pytestmark = pytest.mark.integration


def test_jetstream_synced_always_loses_nothing_to_kills_and_resets(tmp_path: Path):
    code, result = run_trouble(tmp_path, "nats")
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.sends.ok == result.counts.delivered
    assert sum(fault.effective for fault in result.faults) >= 3
    config = str(result.system.config["server_config"])
    assert 'sync_interval: "always"' in config
    assert '"***"' in config
    assert "nats-server: v" in str(result.system.config["server_version"])
    # Every client stayed behind its proxy, also after the server had told its own address.
    assert all(row.covered and row.connections_counted for row in result.coverage)
    assert all(row.bytes_counted > 0 for row in result.coverage)
    assert [process.role for process in result.processes].count("core") == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_core_nats_loses_what_nobody_hears_while_links_are_reset(tmp_path: Path, seed: int):
    code, result = run_trouble(
        tmp_path, "nats?jetstream=off", seed=seed, waiting=0, kill=0, whom="reader-", resets=4
    )
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert "A1" in failed_checks(result)
    lost = check_of(result, "A1")
    assert lost.instances == result.counts.sends.ok - result.counts.delivered
    assert lost.witnesses
    assert not {"A3", "A4", "A5", "A6", "D4"} & set(failed_checks(result))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server that is not the harness's own."""
    ports = PortBlock.lock()
    port = ports.take()
    config = tmp_path / "own.conf"
    config.write_text(
        f"host: {LOOPBACK}\nport: {port}\n"
        f'jetstream {{ store_dir: "{tmp_path / "own"}" }}\n'
        'authorization { user: ann, password: "not shown" }\n'
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


def test_a_server_that_runs_already_is_used_and_left_as_it_was(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    async def streams() -> int:
        client = await nats.connect(f"nats://{server}", user="ann", password="not shown")
        found = await client.jetstream().streams_info()
        await client.close()
        return len(found)

    monkeypatch.setenv(PASSWORD_VARIABLE, "not shown")
    words = ("--endpoint", server, "--user", "ann")
    code, result = run_trouble(tmp_path, "nats", *words, waiting=0, kill=0)
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.system.config["endpoint"] == server
    assert result.system.config["server_version"].startswith("NATS ")
    assert "core" not in [process.role for process in result.processes]
    assert all(row.covered for row in result.coverage)
    assert asyncio.run(streams()) == 0
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or b"not shown" not in file.read_bytes(), file


def test_a_server_that_does_not_take_us_in_is_told_at_once(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    words = ("--endpoint", server, "--user", "ann")
    begun = time.monotonic()
    code, result = run_trouble(tmp_path, "nats", *words, waiting=0, kill=0)
    assert time.monotonic() - begun < 20
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert "does not accept us" in result.verdict.reason
    assert "--password" in result.verdict.reason


@pytest.mark.parametrize("interval", ["always", "2m", "500ms", "1h30m"])
def test_the_server_understands_the_intervals_that_we_allow(tmp_path: Path, interval: str):
    load_system(f"nats?sync_interval={interval}")
    config = write_config(tmp_path, 4222, "token", interval)
    subprocess.run([find_server(), "-t", "-c", config], check=True, capture_output=True)


@pytest.mark.parametrize("system", ["kafka", "nats", "valkey"])
def test_an_endpoint_where_nobody_listens_is_told_at_once(tmp_path: Path, system: str):
    ports = PortBlock.lock()
    try:
        where = f"{LOOPBACK}:{ports.take()}"
        begun = time.monotonic()
        code, result = run_trouble(tmp_path, system, "--endpoint", where, waiting=0, kill=0)
        assert time.monotonic() - begun < 15
    finally:
        ports.close()
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert f"nothing to connect to at endpoint {where}" in result.verdict.reason
