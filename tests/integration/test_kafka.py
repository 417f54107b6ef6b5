"""A real Kafka server: acks=all keeps what is acknowledged, acks=0 says so of what it loses."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.result import Status
from harness.systems.kafka.server import missing
from harness.testing.broker_runs import check_of, failed_checks, run_trouble

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"no Kafka server: {missing()}"),
]


def test_an_idempotent_producer_loses_and_doubles_nothing(tmp_path: Path):
    # One restart is enough: Java takes its time.
    code, result = run_trouble(tmp_path, "kafka", waiting=0)
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.sends.ok == result.counts.delivered
    assert sum(fault.effective for fault in result.faults) >= 3
    assert "log.flush.interval.messages=1" in str(result.system.config["server_config"])
    # Nobody followed what the broker advertises around the proxy of their own.
    assert all(row.covered and row.connections_counted for row in result.coverage)
    assert all(row.bytes_counted > 0 for row in result.coverage)


def test_without_acknowledgements_a_reset_loses_what_was_under_way(tmp_path: Path):
    code, result = run_trouble(
        tmp_path, "kafka?acks=0", waiting=0, kill=0, whom="sender-", resets=4, latency_ms=60
    )
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert "A1" in failed_checks(result)
    lost = check_of(result, "A1")
    assert lost.instances == result.counts.sends.ok - result.counts.delivered
    assert lost.witnesses
    assert not {"A3", "A4", "A5", "A6", "D4"} & set(failed_checks(result))
