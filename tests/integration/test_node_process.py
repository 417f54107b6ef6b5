"""How node processes start and end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.testing.keys import edge_token
from harness.testing.nodes import CORE_KEYS, EDGE_KEYS, END_WITHIN_S, TOKEN, Node
from reference.wire import messages as m
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import PROTOCOL_VERSION

pytestmark = pytest.mark.integration

BROKEN_STORE = """
import sys
from reference.node.serve import run_core
from reference.node.settings import CoreNodeSettings, decode_settings
from reference.store.port import StoreBroken
from reference.store.sqlite import SqliteStore

class Broken:
    def __init__(self, path):
        self._inner = SqliteStore(path)
    def __getattr__(self, name):
        return getattr(self._inner, name)
    def commit(self, writes):
        raise StoreBroken("the disk said no")

sys.exit(run_core(decode_settings(sys.argv[1], CoreNodeSettings), store_factory=Broken))
"""

RAW_LOGIN = """
import socket, sys
from harness.testing.keys import edge_token
from reference.wire.frames import encode
from reference.wire import messages as m
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for message in (m.Hello(1, "edge", "e", edge_token("e")), m.Login(1, "ann", -1, 1000, -1, ())):
    line.sendall(b"".join(encode(message)))
while line.recv(4096):
    pass
"""


def core_settings(folder: Path, **more: object) -> dict[str, object]:
    return {"database": str(folder / "core.db"), "core": CORE_KEYS, **more}


def edge_settings(**more: object) -> dict[str, object]:
    edge = {"name": "eu", "token": edge_token("eu"), **EDGE_KEYS}
    return {"core_port": 1, "edge": edge, **more}


def run(role: str, text: str, *, variable: str = "") -> tuple[int, str]:
    """Run a node to its end, with its settings as an argument or in an environment variable."""
    done = subprocess.run(
        [sys.executable, "-m", "reference.node", role, f"env:{variable}" if variable else text],
        env={**os.environ, variable: text} if variable else None,
        capture_output=True,
        timeout=END_WITHIN_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("role", ["core", "edge"])
def test_a_port_that_is_taken_is_one_line(role: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = core_settings(tmp_path) if role == "core" else edge_settings()
        code, log = run(role, json.dumps({**settings, "port": port}), variable="SETTINGS")
    assert code == 1
    assert f"ERROR the {role} cannot listen on 127.0.0.1:{port}: Address already in use" in log
    assert "Traceback" not in log


def test_both_ends_of_a_refused_connection_tell_why(tmp_path: Path) -> None:
    core = Node("core", core_settings(tmp_path))
    edge = Node("edge", {"core_port": core.port, "edge": {"name": "eu", "token": TOKEN}})
    deadline = time.monotonic() + 5
    why = "UNAUTHORISED: 'no key of this core has signed the token for role edge'"
    while "ended by the peer" not in edge.log() and time.monotonic() < deadline:
        time.sleep(0.05)
    _, said_by_edge = edge.end(signal.SIGTERM)
    _, said_by_core = core.end(signal.SIGTERM)
    edge.close()
    core.close()
    assert f"ended by the peer, {why}" in said_by_edge
    assert f"ended by us, {why}" in said_by_core


@pytest.mark.parametrize("role", ["core", "edge"])
def test_sigterm_ends_in_order(role: str, tmp_path: Path) -> None:
    settings = core_settings(tmp_path) if role == "core" else edge_settings()
    node = Node(role, settings)
    code, log = node.end(signal.SIGTERM)
    node.close()
    assert code == 0, log
    assert "Traceback" not in log


@pytest.mark.parametrize("role", ["core", "edge"])
def test_the_end_of_standard_input_ends_the_node(role: str, tmp_path: Path) -> None:
    node = Node(role, core_settings(tmp_path) if role == "core" else edge_settings())
    assert node.process.stdin is not None
    node.process.stdin.close()
    code, _ = node.wait()
    node.close()
    assert code == 3


def test_two_cores_never_share_a_file(tmp_path: Path) -> None:
    node = Node("core", core_settings(tmp_path))
    try:
        code, log = run("core", json.dumps(core_settings(tmp_path)), variable="SETTINGS")
    finally:
        node.close()
    assert code == 1
    assert "StoreLocked" in log


def test_a_store_that_cannot_say_what_happened_ends_the_core(tmp_path: Path) -> None:
    node = Node("core", core_settings(tmp_path), program=("-c", BROKEN_STORE))
    subprocess.run(
        [sys.executable, "-c", RAW_LOGIN, str(node.port)], timeout=END_WITHIN_S, check=False
    )
    code, log = node.wait()
    node.close()
    assert code == 1
    assert "the disk said no" in log


@pytest.mark.parametrize(
    ("role", "text", "words"),
    [
        ("core", "{", "not JSON"),
        ("core", "{}", "missing required field `core`"),
        ("core", '{"database": "x", "core": {"tokn": "t"}}', "unknown field `core.tokn`"),
        ("core", '{"database": "x", "core": {}, "prot": 1}', "unknown field `prot`"),
        ("core", '{"database": "x", "core": {}, "port": 70000}', "port"),
        ("core", '{"database": "x", "core": {}, "host": "0.0.0.0"}', "loopback"),
        ("edge", '{"core_port": 1, "edge": {"name": "e", "token": "t", "x": 1}}', "edge.x"),
        ("edge", '{"core_port": 1, "edge": {"name": "e", "token": 5}}', "token"),
        ("edge", '{"core_port": 1, "edge": {"name": "e"}}', "edge.token is missing"),
        ("edge", '{"core_port": 1, "edge": {"name": "e", "token": "t"}}', "`token_file`"),
        ("core", '{"database": "x", "core": {"admin_key": "t"}}', "`admin_key_file`"),
        (
            "edge",
            '{"core_port": 1, "core_host": "10.0.0.1", "edge": {"name": "e", "token": "t"}}',
            "loopback",
        ),
        ("edge", '{"core_port":1,"edge":{"name":"e","token":"t","core_links":0}}', "core_links"),
        ("cloud", "{}", "usage"),
    ],
)
def test_wrong_settings_are_one_clear_line(role: str, text: str, words: str) -> None:
    code, log = run(role, text)
    assert code == 2
    assert words in log
    assert log.count("\n") == 1


FEW_DESCRIPTORS = """
import resource, sys
from reference.node.__main__ import main
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
sys.exit(main(["edge", sys.argv[1]]))
"""


def test_a_node_without_free_descriptors_goes_on(tmp_path: Path) -> None:
    node = Node("edge", edge_settings(), program=("-c", FEW_DESCRIPTORS))
    try:
        lines = [socket.create_connection(("127.0.0.1", node.port), 5) for _ in range(60)]
        deadline_s = time.monotonic() + END_WITHIN_S
        while "Too many open files" not in node.log():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        for line in lines:
            line.close()
        with socket.create_connection(("127.0.0.1", node.port), 5) as line:
            line.sendall(b"".join(encode(m.Hello(PROTOCOL_VERSION, "client", "c", TOKEN))))
            assert isinstance(next(FrameParser().feed(line.recv(4096))), m.Welcome)
        code, _ = node.end(signal.SIGTERM)
    finally:
        node.close()
    assert code == 0
