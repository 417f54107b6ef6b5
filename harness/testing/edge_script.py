"""Drives an `EdgeMachine` by hand: the test plays its clients and its core."""

from __future__ import annotations

from typing import Any

from harness.testing.keys import ADMIN_KEY, CLIENT_KEY, admin_token, client_token
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings
from reference.events import (
    Close,
    Closed,
    Connect,
    Effect,
    Event,
    Opened,
    Received,
    Tick,
    Transmit,
    Written,
)
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.limits import PROTOCOL_VERSION

MS_NS = 1_000_000


class EdgeScript:
    """An edge whose peers say what the test says.

    A `Transmit` is written at once, unless its connection is in `stuck`. `said[conn]` holds what
    the edge sent on a connection since it was last asked for.
    """

    def __init__(self, **settings: Any) -> None:
        self.machine = EdgeMachine(
            EdgeSettings(
                **{
                    "name": "eu",
                    "token": "t",
                    "client_key": CLIENT_KEY,
                    "admin_key": ADMIN_KEY,
                    **settings,
                }
            )
        )
        self.now_ns = 0
        self.said: dict[int, list[m.Message]] = {}
        self.closed: list[int] = []
        self.connects: list[int] = []
        self.stuck: set[int] = set()
        self._next_conn = 0

    def feed(self, event: Event) -> None:
        """Give the edge an event and carry out what it asks for."""
        self._carry_out(self.machine.handle(event, self.now_ns))

    def say(self, conn: int, *messages: m.Message) -> None:
        """Let a peer say something."""
        for message in messages:
            self.feed(Received(conn=conn, message=message))

    def heard(self, conn: int) -> list[m.Message]:
        """Return what the edge sent on a connection since the last call."""
        return self.said.pop(conn, [])

    def unstick(self, conn: int) -> None:
        """Let the write under way on a stuck connection come to its end."""
        self.feed(Written(conn=conn))

    def wait(self, ms: int) -> None:
        """Let time pass in ticks."""
        for _ in range(ms // 50):
            self.now_ns += 50 * MS_NS
            self.feed(Tick())

    def core(self, *, link: int = 0, credit_bytes: int = 1 << 20) -> int:
        """Open a core link and greet; return its connection."""
        if not self.connects:
            self.feed(Tick())
        self.connects.remove(link)
        self._next_conn += 1
        conn = self._next_conn
        self.feed(Opened(conn=conn, link=link))
        assert self.heard(conn) == [versions.hello("edge", "eu", "t")]
        self.say(conn, m.Welcome(PROTOCOL_VERSION, "core", credit_bytes))
        return conn

    def open(self, address: str = "") -> int:
        """Open a client connection and say nothing; return it."""
        self._next_conn += 1
        self.feed(Opened(conn=self._next_conn, address=address))
        return self._next_conn

    def client(
        self, *, role: str = "client", token: str | None = None, version: int = PROTOCOL_VERSION
    ) -> int:
        """Open a client connection and greet; return it.

        Without a token it is that of a user of its own, who may read every inbox and send as every
        producer below 2^32.
        """
        conn = self.open()
        if token is None:
            user = client_token(f"user-{conn}", every_inbox=True)
            token = admin_token() if role == "admin" else user
        self.say(conn, m.Hello(version, role, "c", token))
        return conn

    def sender(self, core: int, producer: int = 7) -> int:
        """Open a client connection with a producer logged in; return it."""
        conn = self.client()
        self.say(conn, m.Login(1, "", -1, 0, producer, ("ann",)))
        login = self.heard(core)[-1]
        assert isinstance(login, m.Login)
        self.say(core, m.LoginOk(login.request, -1, -1, 0, (0,), 1))
        self.heard(conn)
        return conn

    def receiver(
        self, core: int, *, inbox: str = "ann", session: int = 5, window_bytes: int = 1 << 20
    ) -> int:
        """Open a client connection with a session; return it."""
        conn = self.client()
        self.say(conn, m.Login(1, inbox, -1, window_bytes, -1, ()))
        login = self.heard(core)[-1]
        assert isinstance(login, m.Login)
        self.say(core, m.LoginOk(login.request, session, -1, 0, (), 1))
        self.heard(conn)
        return conn

    def lose(self, conn: int) -> None:
        """End a connection."""
        self.feed(Closed(conn=conn))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Transmit(conn=conn, messages=messages):
                    assert conn not in self.closed, "a transmit behind the close"
                    self.said.setdefault(conn, []).extend(messages)
                    if conn not in self.stuck:
                        self.feed(Written(conn=conn))
                case Close(conn=conn):
                    self.closed.append(conn)
                case Connect(link=link):
                    self.connects.append(link)
                case _:
                    raise AssertionError(f"an edge does not {effect}")


def sent_segments(messages: list[m.Message]) -> list[tuple[int, str, int, int]]:
    """Return (producer, inbox, n_first, count) of the batches among messages."""
    found = []
    for message in messages:
        match message:
            case m.BatchSend(segments=segments):
                found += [(s.producer, s.inbox, s.n_first, s.count) for s in segments]
            case m.Send(segment=s):
                found.append((s.producer, s.inbox, s.n_first, s.count))
    return found
