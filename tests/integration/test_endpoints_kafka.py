"""A Kafka server of a user's: IPv6, several bootstrap addresses, TLS by host name, leftovers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from anyio.from_thread import start_blocking_portal

from harness.cli.main import run_cli
from harness.links.ports import LOOPBACK, PortBlock
from harness.processes.process import Process
from harness.processes.table import ProcessTable
from harness.report.result import Status
from harness.systems.broker.leftovers import RunLock, new_prefix, run_of
from harness.systems.kafka.server import (
    READY_WITHIN_S,
    ensure_jars,
    format_store,
    java_words,
    missing,
    write_config,
)
from harness.testing.broker_runs import run_trouble

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=f"no Kafka server: {missing()}"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

USER, PASSWORD = "ann", "not shown/1"
QUIET = {"waiting": 0, "kill": 0}


@dataclass(frozen=True)
class Server:
    """A server with a listener that wants a password, on ::1, and one that encrypts."""

    login_port: int
    tls_port: int
    certificate: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("kafka")
    ports = PortBlock.lock()
    login_port, tls_port, controller_port = ports.take(), ports.take(), ports.take()
    certificate, store = folder / "ca.pem", folder / "store.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    store.write_text((folder / "key.pem").read_text() + certificate.read_text())
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
    )
    listeners = f"CLIENTS://[::1]:{login_port},TLS://{LOOPBACK}:{tls_port}"
    more = {
        "listeners": f"CONTROLLER://{LOOPBACK}:{controller_port},{listeners}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,CLIENTS:SASL_PLAINTEXT,TLS:SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": login,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
    }
    jars = ensure_jars(print)
    config = write_config(folder, login_port, controller_port, login_port, more)
    format_store(jars, config)
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
            yield Server(login_port, tls_port, certificate)
        finally:
            portal.call(process.kill)
            ports.close()


async def named(server: Server, *make: str) -> list[str]:
    """Make topics; return the topics and groups of the server, but for those of Kafka's own."""
    admin = AIOKafkaAdminClient(
        bootstrap_servers=f"[::1]:{server.login_port}", security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN", sasl_plain_username=USER, sasl_plain_password=PASSWORD,
    )  # fmt: skip
    await admin.start()
    try:
        if make:
            await admin.create_topics([NewTopic(name, 1, 1) for name in make])
        found = [
            *await admin.list_topics(),
            *(one[0] for one in await admin.list_consumer_groups()),
        ]
        return sorted(name for name in found if not name.startswith("__"))
    finally:
        await admin.close()


def test_urls_over_ipv6_leave_neither_secret_nor_name(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
):
    where = f"[::1]:{server.login_port}"
    # Nobody listens there on the other family.
    written = f"{LOOPBACK}:{server.login_port},kafka://{USER}:not%20shown%2F1@{where}"
    code, result = run_trouble(tmp_path, "kafka", "--endpoint", f"kafka://{written}", **QUIET)
    assert (code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.system.config["endpoint"] == where
    assert f"{where} answered first" in " ".join(result.notes)
    assert all(row.covered and row.bytes_counted > 0 for row in result.coverage)
    assert asyncio.run(named(server)) == []
    told = capfd.readouterr()
    for shown in (told.out, told.err, *_texts(tmp_path / "out")):
        assert "not shown" not in shown
        assert "not%20shown" not in shown


def _texts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode(errors="replace")


def test_tls_holds_the_certificate_against_the_host_name(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    words = ("--ca-file", str(server.certificate))
    for host, code in (("localhost", 0), (LOOPBACK, 70)):
        folder = tmp_path / host
        folder.mkdir()
        where = f"kafka+ssl://{host}:{server.tls_port}"
        ended, result = run_trouble(folder, "kafka", "--endpoint", where, *words, **QUIET)
        assert ended == code, result.verdict.reason
    assert "does not accept us" in result.verdict.reason
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    folder = tmp_path / "trusted-by-the-system"
    folder.mkdir()
    where = f"kafka+ssl://localhost:{server.tls_port}"
    ended, result = run_trouble(folder, "kafka", "--endpoint", where, **QUIET)
    assert ended == 0, result.verdict.reason
    assert result.system.config["encrypted"] is True


def test_only_what_dead_runs_left_is_cleaned(server: Server, capsys: pytest.CaptureFixture[str]):
    alive, dead = new_prefix("-"), new_prefix("-")
    lock = RunLock.hold(run_of(alive))
    words = ["clean", "--system", "kafka", "--endpoint"]
    words.append(f"kafka://{USER}:not%20shown%2F1@[::1]:{server.login_port}")
    try:
        foreign = ["mine", "tallystick-mine"]
        everything = sorted([*foreign, f"{alive}ann", f"{dead}ann", f"{dead}bob"])
        assert asyncio.run(named(server, *everything)) == everything
        assert run_cli(words) == 3
        assert asyncio.run(named(server)) == everything
        assert run_cli([*words, "--yes"]) == 3
        assert asyncio.run(named(server)) == sorted([*foreign, f"{alive}ann"])
    finally:
        lock.release(removed=True)
    assert run_cli([*words, "--yes"]) == 0
    assert asyncio.run(named(server)) == foreign
    told = capsys.readouterr()
    assert "not shown" not in told.out + told.err
    assert "not%20shown" not in told.out + told.err
    assert "under way" in told.out
    assert not os.environ.get("TALLYSTICK_PASSWORD")
