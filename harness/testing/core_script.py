"""Small scripts against a core machine: links, batches and what comes back, in one thread."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from harness.testing.keys import ADMIN_KEY, EDGE_KEY, admin_token, edge_token
from harness.testing.memory_store import CoreLoop, MemoryStore
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings
from reference.events import Closed, Opened, Tick
from reference.store.port import Store, take_over
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import PROTOCOL_VERSION

M = TypeVar("M")

TOKEN = edge_token("eu")
ADMIN_TOKEN = admin_token()


def settings(**changes: object) -> CoreSettings:
    """Return settings with the keys that have signed the scripts' tokens."""
    return CoreSettings(edge_key=EDGE_KEY, admin_key=ADMIN_KEY, **changes)  # type: ignore[arg-type]


def texts(n_first: int, count: int, producer: int = 7) -> list[bytes]:
    """Return bodies that say who and which they are, of mixed lengths."""
    return [b"p%d-%d" % (producer, n) + b"." * (n % 5) for n in range(n_first, n_first + count)]


def batch(
    n_first: int,
    count: int,
    *,
    inbox: str = "vip",
    producer: int = 7,
    bodies: list[bytes] | None = None,
) -> m.Segment:
    """Return a batch with the given bodies, or with those of `texts`."""
    bodies = texts(n_first, count, producer) if bodies is None else bodies
    return m.Segment(
        inbox=inbox,
        producer=producer,
        n_first=n_first,
        count=count,
        lengths=np.array([len(body) for body in bodies], dtype="<u4").tobytes(),
        body=b"".join(bodies),
    )


class CoreScript:
    """A core over a store, with time that only the script moves."""

    def __init__(self, core_settings: CoreSettings | None = None, store: Store | None = None):
        self.settings = core_settings or settings()
        self.store = store if store is not None else MemoryStore()
        self.now_ns = 0
        self._conns = 0
        self.restart()

    def restart(self) -> None:
        """Drop the machine as a crash does, and start one on what was committed."""
        self.core = CoreMachine(self.settings, take_over(self.store))
        self.loop = CoreLoop(self.core, self.store, lambda: self.now_ns)

    def open(self, address: str = "") -> int:
        """Open a connection and say nothing."""
        self._conns += 1
        self.loop.event(Opened(conn=self._conns, address=address))
        return self._conns

    def edge(self, node: str = "eu-west") -> int:
        """Open a connection and say hello as an edge."""
        conn = self.open()
        (welcome,) = self.send(conn, m.Hello(PROTOCOL_VERSION, "edge", node, edge_token(node)))
        assert isinstance(welcome, m.Welcome)
        return conn

    def admin(self) -> int:
        """Open a connection and say hello as an admin."""
        conn = self.open()
        (welcome,) = self.send(conn, m.Hello(PROTOCOL_VERSION, "admin", "script", ADMIN_TOKEN))
        assert isinstance(welcome, m.Welcome)
        return conn

    def send(self, conn: int, *messages: m.Message) -> list[m.Message]:
        """Let messages arrive; return what was sent back on the same connection."""
        return self.loop.send(conn, *messages)

    def batch(self, conn: int, *segments: m.Segment) -> list[m.Message]:
        """Let one frame of batches arrive."""
        return self.send(conn, m.BatchSend(segments=segments))

    def login(
        self, conn: int, inbox: str = "vip", from_pos: int = -1, window_bytes: int = 1_000_000
    ) -> m.LoginOk:
        """Log a receiver in and return the reply; what follows it stays to be taken."""
        messages = self.send(conn, m.Login(1, inbox, from_pos, window_bytes, -1, ()))
        reply = only(messages, m.LoginOk)
        rest = messages[messages.index(reply) + 1 :]
        self.loop.sent.setdefault(conn, [])[:0] = rest
        return reply

    def drop(self, conn: int) -> None:
        """End a connection from the other side."""
        self.loop.event(Closed(conn=conn))

    def advance(self, duration_ms: int) -> None:
        """Let time pass in ticks of 50 ms."""
        for _ in range(duration_ms // 50):
            self.now_ns += 50_000_000
            self.loop.event(Tick())


def only(messages: list[m.Message], kind: type[M]) -> M:
    """Return the one message of a kind."""
    (found,) = (message for message in messages if isinstance(message, kind))
    return found


def deliveries(messages: list[m.Message]) -> list[m.Delivery]:
    """Return all deliveries in their order."""
    return [d for x in messages if isinstance(x, m.Deliver) for d in x.deliveries]


def delivered(messages: list[m.Message]) -> dict[int, bytes]:
    """Return position → body of everything delivered; a position twice is an error."""
    found: dict[int, bytes] = {}
    for delivery in deliveries(messages):
        at = 0
        for i, size in enumerate(np.frombuffer(delivery.lengths, dtype="<u4").tolist()):
            pos = delivery.pos_first + i
            assert pos not in found
            found[pos] = delivery.body[at : at + size]
            at += size
        assert at == len(delivery.body)
        assert sum(run.count for run in delivery.runs) == delivery.count
    return found


def refusals(messages: list[m.Message]) -> list[tuple[int, int, ErrorCode, int]]:
    """Return (n_first, count, code, expected) of everything refused."""
    return [
        (r.n_first, r.count, r.code, r.expected)
        for x in messages
        if isinstance(x, m.Refused)
        for r in x.ranges
    ]


def oks(messages: list[m.Message]) -> list[tuple[int, int, int]]:
    """Return (n_first, count, pos_first) of everything acknowledged."""
    return [
        (r.n_first, r.count, r.pos_first) for x in messages if isinstance(x, m.Ok) for r in x.ranges
    ]
