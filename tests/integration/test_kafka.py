"""A real Kafka server: acks=all keeps what is acknowledged; less, and a lost log, are found out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from anyio.from_thread import start_blocking_portal

from harness.links.ports import LOOPBACK, PortBlock
from harness.processes.process import Process
from harness.processes.table import ProcessTable
from harness.report.result import Status
from harness.systems.broker.settings import PASSWORD_VARIABLE
from harness.systems.kafka.server import (
    READY_WITHIN_S,
    ensure_jars,
    format_store,
    java_words,
    missing,
    write_config,
)
from harness.testing.broker_runs import (
    HAPPENING,
    LOST_TAIL,
    SEEDS,
    check_of,
    failed_checks,
    run_trouble,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"no Kafka server: {missing()}"),
]

USER, PASSWORD = "ann", "not shown"
SCRAMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")


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


def test_acknowledged_messages_that_a_cut_log_no_longer_holds_are_missed(tmp_path: Path):
    code, result = run_trouble(tmp_path, "kafka?acks=1&flush=1000000", text=LOST_TAIL)
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert "A1" in failed_checks(result)
    lost = check_of(result, "A1")
    # One byte is missing, and with it the batch that it belonged to.
    assert 0 < lost.instances < 100
    assert lost.instances == result.counts.sends.ok - result.counts.delivered
    # The other inbox went through the same kill, and its log was left alone.
    assert lost.witnesses
    assert all("cut_inbox" in str(witness) for witness in lost.witnesses)
    assert not {"A3", "A4", "A5", "A6", "D4"} & set(failed_checks(result))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that is not the harness's own, and wants a password."""
    folder = tmp_path_factory.mktemp("kafka")
    ports = PortBlock.lock()
    port = ports.take()
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
    )
    more = {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": ",".join(("PLAIN", *SCRAMS)),
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": login,
        **{
            f"listener.name.clients.{scram.lower()}.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            )
            for scram in SCRAMS
        },
    }
    jars = ensure_jars(print)
    config = write_config(folder, port, ports.take(), port, more)
    who = f"[name={USER},password={PASSWORD}]"
    format_store(jars, config, *(f"--add-scram={scram}={who}" for scram in SCRAMS))
    with start_blocking_portal() as portal:
        process = Process(
            name="kafka",
            argv=[*java_words(jars, "kafka.Kafka"), str(config)],
            log=folder / "kafka.log",
            ready=r"Kafka Server started",
            table=ProcessTable(folder),
            watches_lifeline=False,
        )
        try:
            portal.call(partial(process.start, within_s=READY_WITHIN_S))
            yield f"{LOOPBACK}:{port}"
        finally:
            portal.call(process.kill)
            ports.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_without_acknowledgements_a_reset_loses_what_was_under_way(
    tmp_path: Path, server: str, seed: int, monkeypatch: pytest.MonkeyPatch
):
    async def topics() -> list[str]:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=server, security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
            sasl_plain_username=USER, sasl_plain_password=PASSWORD,
        )  # fmt: skip
        await admin.start()
        try:
            return [name for name in await admin.list_topics() if name.startswith("tallystick")]
        finally:
            await admin.close()

    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    code, result = run_trouble(
        tmp_path, "kafka?acks=0", "--endpoint", server, "--user", USER, seed=seed,
        waiting=0, kill=0, whom="sender-", resets=4, latency_ms=60,
    )  # fmt: skip
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert "A1" in failed_checks(result)
    lost = check_of(result, "A1")
    assert lost.instances == result.counts.sends.ok - result.counts.delivered
    assert lost.witnesses
    assert not {"A3", "A4", "A5", "A6", "D4"} & set(failed_checks(result))
    # It is somebody else's server: what it is stands in the result, and nothing stays there.
    assert str(result.system.config["server_version"]).startswith("Kafka")
    assert "core" not in [process.role for process in result.processes]
    assert asyncio.run(topics()) == []
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(("scram", "duration_s", "resent"), [(SCRAMS[0], 2, 0), (SCRAMS[1], 8, 50)])
def test_a_login_by_scram_and_resends_of_the_librarys_own_count(
    tmp_path: Path,
    server: str,
    scram: str,
    duration_s: int,
    resent: int,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    code, result = run_trouble(
        tmp_path, f"kafka?mechanism={scram}", "--endpoint", server, "--user", USER,
        waiting=0, kill=0, whom="sender-", resets=4, latency_ms=60, resent=resent,
        duration_s=duration_s,
    )  # fmt: skip
    # aiokafka sends again by itself what a reset caught on its way.
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.counts.duplicated == 0


def test_a_server_that_does_not_take_us_in_is_told_at_once(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    begun = time.monotonic()
    code, result = run_trouble(
        tmp_path, "kafka", "--endpoint", server, "--user", USER, waiting=0, kill=0
    )
    assert time.monotonic() - begun < 20
    assert (code, result.verdict.status) == (70, Status.ERROR)
    assert "does not accept us" in result.verdict.reason
    assert "--password" in result.verdict.reason


DELETE = f"""
import asyncio, sys
from aiokafka.admin import AIOKafkaAdminClient
async def main():
    admin = AIOKafkaAdminClient(
        bootstrap_servers=sys.argv[1], security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
        sasl_plain_username="{USER}", sasl_plain_password="{PASSWORD}",
    )
    await admin.start()
    topics = [name for name in await admin.list_topics() if name.startswith("tallystick")]
    await admin.delete_topics(topics)
    await admin.close()
asyncio.run(main())
"""


def test_topics_that_were_deleted_take_with_them_what_was_acknowledged(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
):
    happening = tmp_path / "happening.sh"
    happening.write_text(f"{sys.executable} -c '{DELETE}' {server}\n")
    monkeypatch.setenv("HAPPENING", str(happening))
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    code, result = run_trouble(
        tmp_path, "kafka", "--endpoint", server, "--user", USER, text=HAPPENING
    )
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert result.diagnosis is not None
    assert "acknowledged messages vanished" in result.diagnosis.text
