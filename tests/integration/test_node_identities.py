"""Attacks on real nodes: by clients on each other, on the core, and by connections on all."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

import pytest

from harness.testing.keys import ADMIN_KEY, CLIENT_KEY, EDGE_KEY, client_token
from harness.testing.nodes import ADMIN_TOKEN, EDGE_TOKEN, TOKEN, Cluster
from harness.testing.segments import segment
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import PROTOCOL_VERSION

pytestmark = pytest.mark.integration

M = TypeVar("M", bound=m.Message)

Answer = (m.LoginOk, m.Error)

ANN, MALLORY = client_token("ann", 1), client_token("mallory", 2)
ANNS_PRODUCER = 1 << 32
WITHIN_S = 20.0


class Raw:
    """A connection that says what it likes."""

    def __init__(self, port: int, role: str = "client", token: str = TOKEN, node: str = "x"):
        self.socket = socket.create_connection(("127.0.0.1", port), WITHIN_S)
        self._parser = FrameParser()
        self._waiting: list[m.Message] = []
        self.say(m.Hello(PROTOCOL_VERSION, role, node, token))

    def say(self, *messages: m.Message) -> None:
        self.socket.sendall(b"".join(b"".join(encode(one)) for one in messages))

    def until(self, kind: type[M] | tuple[type[M], ...]) -> M:
        """Return the next message of a kind; signs of life are given meanwhile."""
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            for at, message in enumerate(self._waiting):
                if isinstance(message, kind):
                    del self._waiting[: at + 1]
                    return message
            self._waiting.clear()
            assert time.monotonic() < deadline_s, f"no {kind}"
            data = self.socket.recv(1 << 16)
            assert data, f"the end in place of {kind}"
            for message in self._parser.feed(data):
                if isinstance(message, m.Heartbeat):
                    self.say(m.HeartbeatOk(message.nonce))
                self._waiting.append(message)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("nodes"), core={"retention": "ack"}) as nodes:
        with closing(Raw(nodes.edges[0].port, token=ANN)) as line:
            code = ErrorCode.NOT_READY
            while code is ErrorCode.NOT_READY:
                # An edge that has just started has no link to the core for a moment.
                line.say(m.Login(1, "", -1, 0, ANNS_PRODUCER, ()))
                answer = line.until(Answer)
                code = answer.code if isinstance(answer, m.Error) else None
        yield nodes


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_mallory_reads_acknowledges_deletes_and_silences_nobody(
    cluster: Cluster, opened: ExitStack
) -> None:
    port = cluster.edges[0].port
    ann = opened.enter_context(closing(Raw(port, token=ANN)))
    ann.say(m.Login(1, "", -1, 0, ANNS_PRODUCER, ("ann",)))
    ann.until(m.LoginOk)
    ann.say(m.BatchSend(segments=(segment(0, 10, inbox="ann", producer=ANNS_PRODUCER),)))
    ann.until(m.Ok)
    mallory = opened.enter_context(closing(Raw(port, token=MALLORY)))
    mallory.until(m.Welcome)
    for message in (
        m.Login(1, "ann", -1, 1 << 20, -1, ()),
        m.Login(1, "", -1, 0, ANNS_PRODUCER, ("ann",)),
        m.End(1, "ann"),
    ):
        mallory.say(message)
        assert mallory.until(m.Error).code is ErrorCode.FORBIDDEN
    # The session's number can be guessed; it is another connection's.
    reader = opened.enter_context(closing(Raw(port, token=ANN)))
    reader.say(m.Login(2, "ann", -1, 1 << 20, -1, ()))
    session = reader.until(m.LoginOk).session
    mallory.say(m.CursorAck((m.CursorMark("ann", session, 9),)))
    assert mallory.until(m.Superseded).code is ErrorCode.UNKNOWN_SESSION
    # All of it is still there, once, and its sender is heard and answered.
    assert sum(d.count for d in reader.until(m.Deliver).deliveries) == 10
    ann.say(m.BatchSend(segments=(segment(10, 1, inbox="ann", producer=ANNS_PRODUCER),)))
    assert ann.until(m.Ok).ranges[0].n_first == 10
    assert "refused by us, FORBIDDEN: \"user 'mallory' may not read inbox 'ann'\"" in (
        cluster.edges[0].log()
    )


STRANGERS = [
    *(("edge", token) for token in (TOKEN, CLIENT_KEY, EDGE_KEY, ADMIN_TOKEN, "")),
    *(("admin", token) for token in (TOKEN, EDGE_TOKEN, f"admin-{TOKEN}", ADMIN_KEY, "")),
]


@pytest.mark.parametrize(("role", "token"), STRANGERS, ids=range(len(STRANGERS)))
def test_nobody_is_an_edge_or_an_administrator_of_the_core_without_its_token(
    cluster: Cluster, role: str, token: str
) -> None:
    with closing(Raw(cluster.core.port, role, token, "eu-west")) as stranger:
        stranger.say(m.Resume((m.ResumeMark("ann", 1, -2, -2, 1 << 20),)))
        assert stranger.until(m.Error).code is ErrorCode.UNAUTHORISED


def test_an_edge_that_resumes_below_what_was_trimmed_does_not_end_the_core(
    cluster: Cluster, opened: ExitStack
) -> None:
    edge = opened.enter_context(closing(Raw(cluster.core.port, "edge", EDGE_TOKEN, "eu-west")))
    edge.until(m.Welcome)
    edge.say(m.BatchSend(segments=(segment(0, 5, inbox="bob"),)))
    edge.until(m.Ok)
    edge.say(m.Login(1, "bob", -1, 1 << 20, -1, ()))
    session = edge.until(m.LoginOk).session
    edge.say(m.CursorAck((m.CursorMark("bob", session, 4),)))
    edge.until(m.CursorOk)
    edge.say(m.Resume((m.ResumeMark("bob", session, -2, -2, 1 << 20),)))
    edge.say(m.End(3, "bob"))
    assert edge.until(m.EndOk).pos == 4
    assert cluster.core.process.poll() is None


def test_1024_silent_connections_to_each_node_shut_nobody_out(
    cluster: Cluster, opened: ExitStack
) -> None:
    for node in (cluster.edges[0], cluster.core):
        for _ in range(1_024):
            line = socket.create_connection(("127.0.0.1", node.port), WITHIN_S)
            opened.callback(line.close)
    ann = opened.enter_context(closing(Raw(cluster.edges[0].port, token=ANN)))
    ann.until(m.Welcome)
    edge = opened.enter_context(closing(Raw(cluster.core.port, "edge", EDGE_TOKEN, "eu-west")))
    edge.until(m.Welcome)
    ann.say(m.Login(1, "ann", -1, 1 << 20, -1, ()))
    ann.until(m.LoginOk)


def test_one_user_with_all_the_connections_it_can_get_leaves_others_theirs(
    cluster: Cluster, opened: ExitStack
) -> None:
    port = cluster.edges[0].port
    for n in range(64):
        line = opened.enter_context(closing(Raw(port, token=MALLORY)))
        if n >= 16:
            assert line.until(m.Error).code is ErrorCode.QUOTA
    ann = opened.enter_context(closing(Raw(port, token=ANN)))
    ann.say(m.Login(1, "ann", -1, 1 << 20, -1, ()))
    ann.until(m.LoginOk)


def test_no_secret_of_a_node_is_in_its_arguments_or_its_log(cluster: Cluster) -> None:
    with closing(Raw(cluster.edges[0].port, token=MALLORY[:-4])) as stranger:
        stranger.until(m.Error)
    for node in (cluster.core, *cluster.edges):
        told = Path(f"/proc/{node.process.pid}/cmdline").read_text() + node.log()
        for secret in (CLIENT_KEY, EDGE_KEY, ADMIN_KEY, MALLORY[:-4], EDGE_TOKEN):
            assert secret not in told
