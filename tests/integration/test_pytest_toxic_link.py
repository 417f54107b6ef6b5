"""The fixture `toxic_link` over a real Toxiproxy, from plain tests of a user."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.integration

TESTS = """
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time

import pytest


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(1000):
            self.request.sendall(data)


@pytest.fixture(scope="module")
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


def connect(link):
    return socket.create_connection((link.host, link.port), timeout=5)


def round_trip_s(connection):
    begun = time.perf_counter()
    connection.sendall(b"x")
    assert connection.recv(1) == b"x"
    return time.perf_counter() - begun


def test_latency_comes_and_goes(toxic_link, server):
    link = toxic_link(server)
    assert link.address == f"{link.host}:{link.port}"
    with connect(link) as connection:
        quick = round_trip_s(connection)
        with link.latency(150):
            assert round_trip_s(connection) > 0.25 > quick
        assert round_trip_s(connection) < 0.25


def test_down_refuses(toxic_link, server):
    link = toxic_link(f"127.0.0.1:{server[1]}")
    with connect(link) as connection:
        round_trip_s(connection)
        with link.down() as cut:
            assert cut == 1
            with pytest.raises(OSError):
                connect(link)
        assert connection.recv(1) == b""
    with connect(link) as connection:
        round_trip_s(connection)


def test_reset_is_a_reset(toxic_link, server):
    link = toxic_link(server, resets=True)
    with connect(link) as connection:
        round_trip_s(connection)
        assert link.reset() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


class Generous(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(bytes(2_000_000))


def test_a_link_for_resets_closes_in_order_until_then(toxic_link):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Generous) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        link = toxic_link(server.server_address, resets=True)
        assert link.closes_in_order
        with connect(link) as connection:
            time.sleep(0.5)
            read_bytes = 0
            while data := connection.recv(16_384):
                read_bytes += len(data)
                time.sleep(0.001)
        assert read_bytes == 2_000_000
        server.shutdown()
        thread.join()


def test_who_goes_around_the_link_is_seen(toxic_link, server):
    with socket.create_connection(server, timeout=5) as before:
        round_trip_s(before)
        link = toxic_link(server, direct_ok=True)
        with connect(link) as connection:
            round_trip_s(connection)
            assert link.bypasses() == []
        with socket.create_connection(server, timeout=5) as direct:
            round_trip_s(direct)
            (seen,) = link.bypasses()
            assert seen.local == "%s:%d" % direct.getsockname()
            assert seen.remote == "%s:%d" % server
            assert seen.pid == os.getpid()
        # One that is gone again was seen all the same, if it stayed for a moment.
        with socket.create_connection(server, timeout=5):
            time.sleep(0.2)
        assert len(link.bypasses()) == 2


def test_a_child_that_goes_around_the_link_is_seen(toxic_link, server):
    link = toxic_link(server, direct_ok=True)
    script = "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])));"
    script += "print('up', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", script, server[0], str(server[1])]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\\n"
        (seen,) = link.bypasses()
        assert seen.pid == child.pid
        child.stdin.close()


def test_a_warning_says_so_at_the_end(toxic_link, server):
    from harness.plugin.toxic import LinkBypassed
    link = toxic_link(server)
    with socket.create_connection(server, timeout=5):
        assert len(link.bypasses()) == 1
    with pytest.warns(LinkBypassed, match="not through the link at 127.0.0.1:"):
        link.close()
    link._direct_ok = True


def test_a_pause_holds_and_loses_nothing(toxic_link, server):
    link = toxic_link(server)
    with connect(link) as connection:
        round_trip_s(connection)
        with link.paused():
            connection.sendall(b"held")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(4)
        connection.settimeout(5)
        assert connection.recv(4) == b"held"


def test_a_fault_that_was_left_on_is_healed_behind_the_test(toxic_link, server):
    link = toxic_link(server)
    link.latency(10).__enter__()
"""


def test_a_users_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, toxiproxy_binary: Path
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("TALLYSTICK_TOXIPROXY", str(toxiproxy_binary))
    pytester.makepyfile(test_it=TESTS)
    done = pytester.runpytest_subprocess("-p", "tallystick.pytest_plugin", "-W", "error")
    done.assert_outcomes(passed=9)
    logs = list(pytester.path.glob("results/pytest/*/toxiproxy/logs/toxiproxy-0.log"))
    assert len(logs) == 1


SECRETS = """
import socketserver
import threading

import pytest


@pytest.fixture(scope="module")
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one.server_address[1]
        one.shutdown()
        thread.join()


def secret():
    return "mar" + "ker"


def test_a_url(toxic_link, server):
    link = toxic_link(f"postgresql://user:{secret()}@localhost:{server}/db")
    assert link.upstream == f"localhost:{server}"
    assert repr(link) == f"<ToxicLink {link.address} -> localhost:{server}>"


def test_ipv6(toxic_link):
    assert toxic_link("redis://[::1]").upstream == "[::1]:6379"


def test_of_several_the_first_that_listens(toxic_link, server):
    link = toxic_link(f"nats://u:{secret()}@[::1]:{server},nats://localhost:{server}")
    assert link.upstream == f"localhost:{server}"


def test_none_of_several_listens(toxic_link, server):
    toxic_link(f"nats://u:{secret()}@[::1]:{server},nats://[::1]:1")


def test_no_address(toxic_link):
    toxic_link(f"nats://user:{secret()}/{secret()}@localhost")


def test_a_run(tallystick):
    tallystick.run("reset_mid_batch", f"nats?endpoint=nats://u:{secret()}@localhost:1")


def test_no_system(tallystick):
    tallystick.run("offline_messaging", f"valkey?endpoint=nats://u:{secret()}@localhost:1")
"""


def test_a_secret_of_a_url_is_in_no_report(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, toxiproxy_binary: Path
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("TALLYSTICK_TOXIPROXY", str(toxiproxy_binary))
    pytester.makepyfile(test_it=SECRETS)
    more = ("-W", "error", "--showlocals", "--tb=long", "--junit-xml=junit.xml")
    done = pytester.runpytest_subprocess("-p", "tallystick.pytest_plugin", *more)
    done.assert_outcomes(passed=3, failed=4)
    done.stdout.fnmatch_lines(["*nothing to connect to at endpoint localhost:1*"])
    done.stdout.fnmatch_lines(["*nats:// is for nats; for valkey write*"])
    assert "marker" not in done.stdout.str() + done.stderr.str()
    for path in pytester.path.rglob("*"):
        assert not path.is_file() or b"marker" not in path.read_bytes(), path
