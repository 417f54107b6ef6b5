"""A user's own broker stops serving while it runs: the reason names it, in the broker's words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.links.ports import LOOPBACK, PortBlock
from harness.report.result import Result, Status
from harness.run import outage
from harness.systems.broker.settings import PASSWORD_VARIABLE
from harness.systems.nats.server import find_server as find_nats
from harness.systems.valkey.server import find_server as find_valkey
from harness.testing.broker_runs import HAPPENING, run_trouble

pytestmark = pytest.mark.integration

USER, SECRET = "ann", "not-shown"

PATIENCE_S = 4.0
"""Instead of 15 s: what is said is tried here, not how long is waited for it."""

LEFT_S = 30.0
"""What a run may take beside its patience: start, login, the end, a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Own:
    """A server of a user's own, and a file of shell that happens to it."""

    system: str
    port: int
    pid: int
    config: Path
    happening: Path
    options: tuple[str, ...] = field(default=("--user", USER))

    def run(self, folder: Path) -> tuple[int, Result]:
        where = f"{LOOPBACK}:{self.port}"
        return run_trouble(folder, self.system, "--endpoint", where, *self.options, text=HAPPENING)


@pytest.fixture
def happening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "happening.sh"
    monkeypatch.setenv("HAPPENING", str(path))
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    monkeypatch.setattr(outage, "PATIENCE_S", PATIENCE_S)
    return path


def serving(argv: list[str], ready: str) -> Iterator[int]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if ready in line:
                break
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


NATS_CONFIG = """
host: {host}
port: {port}
authorization {{ user: {user}, password: "{secret}" }}
jetstream {{ store_dir: "{folder}/own", max_file_store: {room_bytes} }}
"""


@pytest.fixture
def nats(tmp_path: Path, happening: Path, request: pytest.FixtureRequest) -> Iterator[Own]:
    room_bytes = getattr(request, "param", 1 << 30)
    ports = PortBlock.lock()
    port, config = ports.take(), tmp_path / "own.conf"
    config.write_text(
        NATS_CONFIG.format(
            host=LOOPBACK, port=port, user=USER, secret=SECRET, folder=tmp_path,
            room_bytes=room_bytes,
        )
    )  # fmt: skip
    for pid in serving([str(find_nats()), "-c", str(config)], "Server is ready"):
        yield Own(system="nats", port=port, pid=pid, config=config, happening=happening)
    ports.close()


@pytest.fixture
def valkey(tmp_path: Path, happening: Path) -> Iterator[Own]:
    ports = PortBlock.lock()
    port, config = ports.take(), tmp_path / "own.conf"
    config.write_text(
        f'bind {LOOPBACK}\nport {port}\ndir "{tmp_path}"\nsave ""\n'
        f"user default on >admin ~* &* +@all\nuser {USER} on >{SECRET} ~* &* +@all\n"
    )
    for pid in serving([str(find_valkey()), str(config)], "Ready to accept"):
        yield Own(system="valkey", port=port, pid=pid, config=config, happening=happening)
    ports.close()


def said_to_valkey(own: Own, *words: str) -> str:
    lines = r"\r\n".join(["AUTH admin", *words, "QUIT", ""])
    return f"{sys.executable} -c '{SAY}' {own.port} '{lines}'\n"


SAY = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
    server.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
    told = b""
    while more := server.recv(65536):
        told += more
assert b"-ERR" not in told, told
"""


def reason_of(result: Result, code: str) -> str:
    assert result.verdict.status is Status.UNKNOWN, result.verdict.reason
    assert result.verdict.reason_code == code
    assert result.run.duration_s < PATIENCE_S + LEFT_S
    assert result.complete
    return result.verdict.reason


def test_a_nats_that_knows_the_password_no_more(tmp_path: Path, nats: Own) -> None:
    nats.happening.write_text(f"sed -i s/{SECRET}/another/ {nats.config}; kill -HUP {nats.pid}\n")
    code, result = nats.run(tmp_path)
    assert code == 3
    assert "Authorization Violation" in reason_of(result, "system_refuses")


def test_a_valkey_that_knows_the_password_no_more(tmp_path: Path, valkey: Own) -> None:
    valkey.happening.write_text(
        said_to_valkey(
            valkey, f"ACL SETUSER {USER} resetpass >another", "CLIENT KILL TYPE normal SKIPME yes"
        )
    )
    code, result = valkey.run(tmp_path)
    assert code == 3
    assert "invalid username-password pair" in reason_of(result, "system_refuses")


def test_a_valkey_that_lets_nobody_write_any_more(tmp_path: Path, valkey: Own) -> None:
    valkey.happening.write_text(said_to_valkey(valkey, f"ACL SETUSER {USER} -@write"))
    code, result = valkey.run(tmp_path)
    assert code == 3
    assert "no permissions to run" in reason_of(result, "system_refuses")


@pytest.mark.parametrize("nats", [100_000], indirect=True)
def test_a_nats_whose_room_is_full(tmp_path: Path, nats: Own) -> None:
    nats.happening.write_text("true\n")
    code, result = nats.run(tmp_path)
    assert code == 3
    assert "resource" in reason_of(result, "system_refuses")


def test_a_nats_whose_streams_were_deleted(tmp_path: Path, nats: Own) -> None:
    nats.happening.write_text(f"{sys.executable} -c '{DELETE}' {nats.port}\n")
    code, result = nats.run(tmp_path)
    # Not an outage: whoever comes next makes the stream anew, and what was in it is gone.
    assert (code, result.verdict.status) == (1, Status.FAIL), result.verdict.reason
    assert result.diagnosis is not None
    # The 20 of the plan, and what the seed drew.
    assert re.match(
        r"[2-9]\d acknowledged messages vanished: inbox(es)? ann", result.diagnosis.text
    )
    assert "The log went back" in result.diagnosis.text
    told = [one.last for one in result.client_errors]
    assert any("Consumer Deleted" in one for one in told), told
    assert not any("{" in one for one in told), told


DELETE = f"""
import asyncio, sys, nats
async def main():
    client = await nats.connect(
        f"nats://127.0.0.1:{{sys.argv[1]}}", user="{USER}", password="{SECRET}"
    )
    jetstream = client.jetstream()
    for one in await jetstream.streams_info():
        if one.config.name.startswith("tallystick"):
            await jetstream.delete_stream(one.config.name)
    await client.close()
asyncio.run(main())
"""
