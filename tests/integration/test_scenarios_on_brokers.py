"""A scenario of the suite, as it stands, on brokers that are killed and stopped under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.report.codec import decode_result
from harness.report.result import Status

pytestmark = pytest.mark.integration


# Where NATS drops what was acknowledged it promises neither exactly once nor order.
@pytest.mark.parametrize(("system", "retention"), [("nats", "run"), ("valkey", "ack")])
def test_who_was_away_finds_everything(tmp_path: Path, system: str, retention: str):
    out = tmp_path / "out"
    words = ["run", "offline_messaging", "--profile", "smoke", "--seed", "51"]
    words += ["--set", f"retention={retention}"]
    code = run_cli([*words, "--system", system, "--out", str(out)])
    result = decode_result((out / "result.json").read_bytes())
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.sends.ok == result.counts.delivered > 0
    judged = {check.id for check in result.checks if check.status == "PASS"}
    assert {"A1", "A7", "A9", "A13", "B2"} <= judged
    (server,) = (process for process in result.processes if process.role == "core")
    assert server.restarts >= 2
