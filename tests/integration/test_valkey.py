"""A real Valkey server: with its log synced it keeps what it acknowledged, in memory not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkey

from harness.links.ports import LOOPBACK, PortBlock
from harness.report.result import Status
from harness.systems.broker.settings import PASSWORD_VARIABLE
from harness.systems.valkey.server import find_server
from harness.testing.broker_runs import SEEDS, check_of, failed_checks, run_trouble

pytestmark = pytest.mark.integration


def test_a_log_synced_always_loses_nothing_to_kills_and_resets(tmp_path: Path):
    code, result = run_trouble(tmp_path, "valkey")
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.sends.ok == result.counts.delivered
    assert sum(fault.effective for fault in result.faults) >= 3
    config = str(result.system.config["server_config"])
    assert "appendfsync always" in config
    assert "requirepass ***\n" in config
    assert all(row.covered and row.connections_counted for row in result.coverage)
    assert all(row.bytes_counted > 0 for row in result.coverage)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_in_memory_only_is_lost_by_a_kill(tmp_path: Path, seed: int):
    code, result = run_trouble(tmp_path, "valkey", "-o", "appendonly=no", seed=seed)
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert "A1" in failed_checks(result)
    lost = check_of(result, "A1")
    assert lost.instances >= 120, "all that waited unread"
    assert lost.witnesses
    assert result.system.config["appendonly"] == "no"
    assert not {"A3", "A4", "A5", "D4"} & set(failed_checks(result))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """Return the port of a server that is not the harness's own."""
    ports = PortBlock.lock()
    port = ports.take()
    words = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(tmp_path), "--save", "",
             "--requirepass", "not shown"]  # fmt: skip
    process = subprocess.Popen([find_server(), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
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


def test_a_server_that_runs_already_is_used_and_left_as_it_was(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(PASSWORD_VARIABLE, "not shown")
    with valkey.Valkey(host=LOOPBACK, port=server, password="not shown") as client:
        client.set("of another", "1")
        words = ("--endpoint", f"{LOOPBACK}:{server}")
        code, result = run_trouble(tmp_path, "valkey", *words, waiting=0, kill=0)
        assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
        assert result.system.config["endpoint"] == f"{LOOPBACK}:{server}"
        assert result.system.config["server_version"].startswith("Valkey ")
        assert client.keys() == [b"of another"]
    assert all(row.covered for row in result.coverage)
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or b"not shown" not in file.read_bytes(), file


def test_a_server_that_does_not_take_us_in_is_told_at_once(
    tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    words = ("--endpoint", f"{LOOPBACK}:{server}")
    begun = time.monotonic()
    code, result = run_trouble(tmp_path, "valkey", *words, waiting=0, kill=0)
    assert time.monotonic() - begun < 20
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert "does not accept us" in result.verdict.reason
    assert "--password" in result.verdict.reason
