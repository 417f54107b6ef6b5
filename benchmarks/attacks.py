"""What hostile and careless clients make a real edge hold, and whether an honest one still works.

`python -m benchmarks.attacks [--scale 1.0] [--only NAME]` starts a core and an edge, lets one
attack after the other run against the edge, and prints for each the resident memory of the edge
before and at its worst, how many connections of the attacker are left, and how long a message of an
honest client took meanwhile (connecting included). Each attack begins with nodes of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from harness.testing.keys import client_token
from harness.testing.nodes import Cluster
from reference.node.memory import PAGE_BYTES
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.frames import FrameParser, encode

MIB: Final = 1024 * 1024
HONEST_WITHIN_S: Final = 30.0
LINES_S: Final = 5.0
"""How long an attacker waits for an answer, or for its bytes to be taken."""

ATTACKER = client_token("attacker", every_inbox=True)
HONEST = client_token("honest", every_inbox=True)


class Line:
    """A blocking connection to an edge."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LINES_S)
        self._parser = FrameParser()

    def say(self, *messages: m.Message) -> None:
        """Send messages."""
        self.socket.sendall(b"".join(piece for one in messages for piece in encode(one)))

    def hear(self, kind: type[m.Message]) -> m.Message:
        """Return the next message of a kind.

        Raises:
            ConnectionError: The edge said that the connection is over, or ended it.
        """
        while data := self.socket.recv(256 * 1024):
            for message in self._parser.feed(data):
                if isinstance(message, kind):
                    return message
                if isinstance(message, m.Error | m.Refused):
                    raise ConnectionError(str(message)[:200])
        raise ConnectionError("the edge closed")

    def greet(self, token: str) -> None:
        """Say HELLO and wait for WELCOME."""
        self.say(versions.hello("client", "c", token))
        self.hear(m.Welcome)

    def is_open(self) -> bool:
        """Tell whether the edge has not closed it."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1024 * 1024):
                pass
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def one(inbox: str, n: int, body: bytes, producer: int = 7) -> m.Send:
    """Return a message."""
    length = len(body).to_bytes(4, "little")
    return m.Send(
        segment=m.Segment(
            inbox=inbox, producer=producer, n_first=n, count=1, lengths=length, body=body
        )
    )


def big_greetings(port: int, scale: float, _cluster: Cluster) -> list[Line]:
    """Without a token: connections that each begin a frame of 4 MiB."""
    lines = []
    for _ in range(int(400 * scale)):
        with contextlib.suppress(OSError):
            line = Line(port)
            lines.append(line)
            line.socket.sendall((4 * MIB - 1).to_bytes(4, "little") + bytes(MIB))
    return lines


def silence(port: int, scale: float, _cluster: Cluster) -> list[Line]:
    """Without a token: connections that say nothing."""
    lines = []
    for _ in range(int(1_100 * scale)):
        with contextlib.suppress(OSError):
            lines.append(Line(port))
    return lines


def deaf_reader(port: int, scale: float, _cluster: Cluster) -> list[Line]:
    """One client opens many sessions, is sent a MiB in each, and reads nothing."""
    count = int(300 * scale)
    writer = Line(port)
    writer.greet(ATTACKER)
    writer.say(m.Login(1, "", -1, 0, 7, ()))
    writer.hear(m.LoginOk)
    body = bytes(250_000)
    for number in range(count):
        for n in range(4):
            writer.say(one(f"deaf-{number}", n, body))
            writer.hear(m.Ok)
    reader = Line(port)
    reader.greet(ATTACKER)
    reader.say(*(m.Login(k, f"deaf-{k}", -1, 16 * MIB, -1, ()) for k in range(count)))
    return [writer, reader]


def tiny_messages(port: int, scale: float, cluster: Cluster) -> list[Line]:
    """One client sends messages of a byte, one a frame, while the core stands still."""
    line = Line(port)
    line.greet(ATTACKER)
    line.say(m.Login(1, "", -1, 0, 7, ()))
    line.hear(m.LoginOk)
    cluster.core.process.send_signal(signal.SIGSTOP)
    try:
        piece = b"".join(p for n in range(1_000) for p in encode(one("tiny", n, b"x")))
        with contextlib.suppress(OSError):
            for _ in range(int(300 * scale)):
                line.socket.sendall(piece)
    finally:
        cluster.core.process.send_signal(signal.SIGCONT)
    return [line]


def long_names(port: int, scale: float, _cluster: Cluster) -> list[Line]:
    """Clients ask for the end of inboxes with names of a MiB."""
    lines = []
    for _ in range(int(100 * scale)):
        with contextlib.suppress(OSError, ConnectionError):
            line = Line(port)
            line.greet(ATTACKER)
            lines.append(line)
            line.say(m.End(1, "n" * (MIB - 64)))
    return lines


Attack = Callable[[int, float, Cluster], list[Line]]
ATTACKS: Final[tuple[Attack, ...]] = (
    big_greetings,
    silence,
    deaf_reader,
    tiny_messages,
    long_names,
)


def honest(port: int, producer: int) -> float:
    """Connect, send a message and wait for its acknowledgement; return how long that took."""
    begun_s = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            line = Line(port)
            with contextlib.closing(line.socket):
                line.greet(HONEST)
                line.say(m.Login(1, "", -1, 0, producer, ()))
                line.hear(m.LoginOk)
                line.say(one("honest", 0, b"hello", producer))
                line.hear(m.Ok)
                return time.monotonic() - begun_s
        if time.monotonic() - begun_s > HONEST_WITHIN_S:
            return float("inf")
        time.sleep(0.05)


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * PAGE_BYTES / MIB


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a core and an edge."""
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder), "eu-west") as made:
        yield made


def measure(attack: Attack, scale: float) -> str:
    """Let an attack run against nodes of its own; return what came of it as a line."""
    with cluster() as nodes:
        port, pid = nodes.edges[0].port, nodes.edges[0].process.pid
        honest(port, 100)
        before = worst = rss_mib(pid)
        lines = attack(port, scale, nodes)
        took_s = honest(port, 101)
        for _ in range(20):
            worst = max(worst, rss_mib(pid))
            time.sleep(0.1)
        left = sum(line.is_open() for line in lines)
        alive = nodes.edges[0].process.poll() is None and nodes.core.process.poll() is None
        for line in lines:
            line.socket.close()
    return (
        f"{attack.__name__:14} edge {before:4.0f} -> {worst:4.0f} MiB, {left:4} of {len(lines):4} "
        f"connections left, an honest message took {took_s:5.2f} s, nodes "
        f"{'alive' if alive else 'DEAD'}"
    )


def main() -> None:
    """Measure the attacks."""
    names = [attack.__name__ for attack in ATTACKS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=names)
    wanted = parser.parse_args()
    for attack in ATTACKS:
        if wanted.only in (None, attack.__name__):
            sys.stdout.write(measure(attack, wanted.scale) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
