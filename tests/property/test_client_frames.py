"""No frames of an ordinary client end a node, whatever they hold and in whatever order they come.

The real machines of an edge and a core stand over real frames: what a client sends is encoded by
hand, past every check of `encode`; whatever the machines answer must be encoded by it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.testing.keys import (
    ADMIN_KEY,
    CLIENT_KEY,
    EDGE_KEY,
    SERVICE_TOKEN,
    admin_token,
    edge_token,
)
from harness.testing.memory_store import MemoryStore
from reference.core.machine import CoreMachine
from reference.core.settings import CoreSettings, Retention
from reference.edge.machine import EdgeMachine
from reference.edge.settings import EdgeSettings
from reference.events import (
    Close,
    Closed,
    Commit,
    Committed,
    Connect,
    Event,
    LogRead,
    Malformed,
    Opened,
    ReadLog,
    ReadRows,
    Received,
    RowsRead,
    Tick,
    Transmit,
    Written,
)
from reference.store.port import take_over
from reference.wire import frames
from reference.wire import messages as m
from reference.wire.errors import RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import (
    BATCH_COUNT_MAX,
    HEADER_BYTES_MAX,
    INBOX_NAME_BYTES_MAX,
    PROTOCOL_VERSION,
    SEGMENTS_MAX,
)
from reference.wire.opcodes import Opcode

UPLINK, CORE_ADMIN = 1, 2


class Path:
    """A client, an edge and a core, in one thread."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now_ns = 0
        core = CoreSettings(edge_key=EDGE_KEY, admin_key=ADMIN_KEY, retention=Retention.ACK)
        self.core = CoreMachine(core, take_over(self.store))
        edge = EdgeSettings(name="eu", token=edge_token("eu"), client_key=CLIENT_KEY)
        self.edge = EdgeMachine(edge)
        self.parsers: dict[tuple[str, int], FrameParser] = {}
        self.uplinks = 0
        self.clients = 1_000
        self.open: set[int] = set()
        self.heard: list[m.Message] = []
        self.answers: list[m.Message] = []
        self.feed("edge", Tick())
        self.core_events(Opened(conn=CORE_ADMIN))
        hello = m.Hello(PROTOCOL_VERSION, "admin", "admin", admin_token())
        self.core_events(Received(conn=CORE_ADMIN, message=hello))

    def core_events(self, event: Event) -> None:
        self.feed("core", event)

    def feed(self, node: str, event: Event) -> None:
        """Handle an event and everything that follows from it."""
        todo = deque([(node, event)])
        while todo:
            node, event = todo.popleft()
            machine = self.core if node == "core" else self.edge
            for effect in machine.handle(event, self.now_ns):
                todo.extend(self._carry_out(node, effect))

    def _carry_out(self, node: str, effect: object) -> list[tuple[str, Event]]:
        match effect:
            case Transmit(conn=conn, messages=messages):
                data = b"".join(b"".join(encode(message)) for message in messages)
                return [(node, Written(conn=conn)), *self._arrive(node, conn, data)]
            case Close(conn=conn):
                return self._closed(node, conn)
            case Connect():
                self.uplinks += 1
                conn = UPLINK + 10 * self.uplinks
                return [("core", Opened(conn=conn)), ("edge", Opened(conn=conn, link=0))]
            case Commit(commit_no=commit_no, writes=writes):
                self.store.commit(writes)
                return [("core", Committed(commit_no=commit_no))]
            case ReadLog(read_no=read_no, inbox=inbox):
                log = self.store.read(inbox, effect.pos_first, effect.pos_upto, effect.bytes_max)
                return [("core", LogRead(read_no=read_no, inbox=inbox, log=log))]
            case ReadRows(read_no=read_no, inbox=inbox):
                rows, more = self.store.rows(inbox, effect.after_pos, effect.after_bucket)
                return [("core", RowsRead(read_no=read_no, rows=rows, more=more))]
        raise AssertionError(effect)

    def _arrive(self, node: str, conn: int, data: bytes) -> list[tuple[str, Event]]:
        parser = self.parsers.setdefault((node, conn), FrameParser())
        messages = list(parser.feed(data))
        if conn >= 1_000:
            self.heard += messages
            return []
        if conn == CORE_ADMIN:
            self.answers += messages
            return []
        other = "edge" if node == "core" else "core"
        return [(other, Received(conn=conn, message=message)) for message in messages]

    def _closed(self, node: str, conn: int) -> list[tuple[str, Event]]:
        self.parsers.pop((node, conn), None)
        if conn >= 1_000:
            self.open.discard(conn)
            return [(node, Closed(conn=conn))]
        return [("core", Closed(conn=conn)), ("edge", Closed(conn=conn))]

    def say(self, conn: int, frame: bytes) -> None:
        """Let a frame of a client arrive at the edge."""
        try:
            messages = list(FrameParser().feed(frame))
        except RemoteProtocolError as error:
            self.feed("edge", Malformed(conn=conn, code=error.code, detail=error.detail))
            return
        for message in messages:
            if conn in self.open:
                self.feed("edge", Received(conn=conn, message=message))

    def connect(self) -> int:
        """Return a client's connection that has greeted."""
        self.clients += 1
        self.open.add(self.clients)
        self.feed("edge", Opened(conn=self.clients))
        self.say(self.clients, plain(m.Hello(PROTOCOL_VERSION, "client", "c", SERVICE_TOKEN)))
        return self.clients


def plain(message: Any) -> bytes:
    """Return a frame whatever its size, as somebody else's program may write it."""
    opcode = frames._OPCODE_OF[type(message)]
    return framed(opcode, msgspec.msgpack.encode(message), b"")


def framed(opcode: Opcode, header: bytes, columns: bytes) -> bytes:
    body = bytes([opcode]) + len(header).to_bytes(4, "little") + header + columns
    return len(body).to_bytes(4, "little") + body


def batch(inbox: str, producer: int, n_first: int, count: int) -> bytes:
    head = msgspec.msgpack.encode([[inbox, producer, n_first, count, count]])
    lengths = np.ones(count, dtype="<u4").tobytes()
    return framed(Opcode.BATCH_SEND, header=head, columns=lengths + b"x" * count)


NAMES = st.one_of(
    st.sampled_from(("", "a", "vip", "é" * 64, "é" * 65, "\x00", "x" * INBOX_NAME_BYTES_MAX)),
    st.sampled_from((INBOX_NAME_BYTES_MAX + 1, 253, 70_000, HEADER_BYTES_MAX - 20)).map(
        lambda size: "x" * size
    ),
)
NUMBERS = st.sampled_from((-2, -1, 0, 1, 2, 5, 24, 1_000, 2**31, 2**63 - 65_537, 2**63 - 1))
PRODUCERS = st.sampled_from((-1, 0, 7, 2**63, 2**64 - 1))
COUNTS = st.sampled_from((1, 2, 500, 40_000, BATCH_COUNT_MAX))
SHORT = st.sampled_from(("", "vip", "x" * INBOX_NAME_BYTES_MAX, "x" * 253))
MARKS = st.builds(m.CursorMark, SHORT, NUMBERS, NUMBERS)
MANY = st.sampled_from((1, 1_024, 1_025, SEGMENTS_MAX))
FRAMES = st.one_of(
    st.builds(m.Login, NUMBERS, NAMES, NUMBERS, NUMBERS, PRODUCERS, st.tuples(NAMES)).map(plain),
    st.builds(m.Login, NUMBERS, st.just("vip"), NUMBERS, NUMBERS, st.just(-1), st.just(()))
    .map(plain),
    st.builds(m.Logout, NUMBERS, NAMES, NUMBERS).map(plain),
    st.builds(m.End, NUMBERS, NAMES).map(plain),
    st.builds(m.Inspect, NUMBERS, NAMES, NUMBERS, NUMBERS).map(plain),
    st.builds(m.Promote, NUMBERS, NAMES, NUMBERS, NUMBERS).map(plain),
    st.builds(m.Presence, NUMBERS, st.tuples(NAMES)).map(plain),
    st.builds(lambda r, name, many: m.Presence(r, (name,) * many), NUMBERS, SHORT, MANY)
    .map(plain),
    st.builds(m.CursorAck, st.tuples(st.builds(m.CursorMark, NAMES, NUMBERS, NUMBERS))).map(plain),
    st.builds(lambda mark, many: m.CursorAck((mark,) * many), MARKS, MANY).map(plain),
    st.builds(m.Heartbeat, NUMBERS).map(plain),
    st.builds(m.Hello, NUMBERS, NAMES, NAMES, NAMES).map(plain),
    st.builds(lambda r, text: m.Error(r, m.ErrorCode.BUSY, text), NUMBERS, NAMES).map(plain),
    st.builds(batch, NAMES, st.sampled_from((0, 7)), NUMBERS, COUNTS),
    st.builds(batch, st.just("vip"), st.just(7), st.sampled_from((0, 1, 500)), COUNTS),
)  # fmt: skip


@settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=list(HealthCheck),
)
@given(said=st.lists(st.tuples(st.integers(0, 1), FRAMES), max_size=12))
def test_no_frames_of_a_client_end_a_node(said: list[tuple[int, bytes]]) -> None:
    path = Path()
    conns = [path.connect(), path.connect()]
    for conn in conns:
        path.say(conn, plain(m.Login(1, "", -1, 0, 7, ("vip",))))
    for who, frame in said:
        if conns[who] not in path.open:
            conns[who] = path.connect()
        path.say(conns[who], frame)
        path.now_ns += 10_000_000
        path.feed("edge", Tick())
        path.core_events(Tick())
    # Both still answer others.
    other = path.connect()
    path.heard.clear()
    path.say(other, plain(m.End(9, "vip")))
    assert [type(reply) for reply in path.heard] == [m.EndOk]
    # What they left can be inspected.
    path.core_events(Received(conn=CORE_ADMIN, message=m.Inspect(1, "vip", -1, -1)))
    assert isinstance(path.answers[-1], m.InspectOk)


def test_a_batch_of_as_many_messages_as_there_may_be_can_be_inspected_and_read() -> None:
    path = Path()
    conn = path.connect()
    path.say(conn, plain(m.Login(1, "", -1, 0, 7, ("vip",))))
    path.say(conn, batch("vip", 7, 0, BATCH_COUNT_MAX))
    path.core_events(Received(conn=CORE_ADMIN, message=m.Inspect(1, "vip", -1, -1)))
    found = path.answers[-1]
    assert isinstance(found, m.InspectOk)
    assert found.more
    last = found.rows[-1]
    path.core_events(
        Received(conn=CORE_ADMIN, message=m.Inspect(2, "vip", last.pos_first, last.bucket))
    )
    rest = path.answers[-1]
    assert isinstance(rest, m.InspectOk)
    assert sum(row.count for row in found.rows + rest.rows) == BATCH_COUNT_MAX
    path.say(conn, plain(m.Login(2, "vip", -1, 2**22, -1, ())))
    assert (
        sum(
            delivery.count
            for message in path.heard
            if isinstance(message, m.Deliver)
            for delivery in message.deliveries
        )
        == BATCH_COUNT_MAX
    )
