"""Whatever bytes come in: a typed error, that connection only, nothing lost for the others."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from harness.testing.keys import edge_token
from harness.testing.nodes import ADMIN_TOKEN, TOKEN, Cluster, Reader, Writer
from harness.testing.segments import segment
from reference.events import Event, Received
from reference.node.client_hub import ClientHub
from reference.node.connection import Connection
from reference.wire import frames
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.frames import FrameParser, encode
from reference.wire.limits import FRAME_BYTES_MAX, HEADER_BYTES_MAX, PROTOCOL_VERSION

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

STRINGS = 10_000
"""Random byte strings at each of edge and core. Each takes a connection, since it ends it."""

AT_ONCE = 4
"""Threads that carry them side by side, to each of the two nodes."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


def frame(message: m.Message) -> bytes:
    return b"".join(encode(message))


def plain(message: Any) -> bytes:
    """Return a frame whatever its size, as somebody else's program may write it."""
    header = msgspec.msgpack.encode(message)
    opcode = next(code for code, kind in frames._PLAIN.items() if kind is type(message))
    body = bytes([opcode]) + struct.pack("<I", len(header)) + header
    return struct.pack("<I", len(body)) + body


def hello(role: str) -> bytes:
    token = {"edge": edge_token("bad"), "admin": ADMIN_TOKEN}.get(role, TOKEN)
    return frame(m.Hello(PROTOCOL_VERSION, role, "bad", token))


def broken_batch() -> bytes:
    """Return a batch whose lengths do not add up to its body."""
    good = frame(m.BatchSend(segments=(segment(0, 3),)))
    return good[:-24] + b"\x05" + good[-23:]


async def exchange(port: int, data: bytes, *, end: bool = False) -> list[m.Message]:
    """Send bytes and return every message until the node closes the connection."""
    parser = FrameParser()
    said: list[m.Message] = []
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            try:
                await stream.send(data)
                if end:
                    await stream.send_eof()
                while True:
                    said.extend(parser.feed(await stream.receive()))
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return said


def error_codes(messages: Sequence[m.Message]) -> list[ErrorCode]:
    return [message.code for message in messages if isinstance(message, m.Error)]


BAD = [
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ErrorCode.FRAME_TOO_LARGE),
    (struct.pack("<IBI", FRAME_BYTES_MAX + 1, 4, 0), ErrorCode.FRAME_TOO_LARGE),
    (struct.pack("<IBI", 4, 4, 0), ErrorCode.BAD_FRAME),
    (struct.pack("<IBI", 5, 4, 900), ErrorCode.BAD_FRAME),
    (struct.pack("<IBI", 5, 0xEE, 0), ErrorCode.UNKNOWN_OPCODE),
    (
        struct.pack("<IBI", HEADER_BYTES_MAX + 6, 4, HEADER_BYTES_MAX + 1)
        + bytes(HEADER_BYTES_MAX + 1),
        ErrorCode.FRAME_TOO_LARGE,
    ),
    (struct.pack("<IBI", 6, 4, 1) + b"\xc1", ErrorCode.BAD_HEADER),
    (broken_batch(), ErrorCode.BAD_HEADER),
    (frame(m.Promoted(1, "ann", 0, 1, 0)), ErrorCode.UNEXPECTED_MESSAGE),
    (frame(m.Hello(PROTOCOL_VERSION, "client", "again", TOKEN)), ErrorCode.UNEXPECTED_MESSAGE),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
async def test_bad_frames_get_a_typed_error(cluster: Cluster, bad: bytes, code: ErrorCode) -> None:
    for port, role in ((cluster.edges[0].port, "client"), (cluster.core.port, "edge")):
        said = await exchange(port, hello(role) + bad)
        assert isinstance(said[0], m.Welcome)
        assert error_codes(said) == [code], role
        if code is not ErrorCode.UNEXPECTED_MESSAGE:
            assert error_codes(await exchange(port, bad)) == [code], role


async def test_a_truncated_frame_just_ends(cluster: Cluster) -> None:
    whole = frame(m.BatchSend(segments=(segment(0, 3),)))
    for port, role in ((cluster.edges[0].port, "client"), (cluster.core.port, "edge")):
        for cut in range(1, len(whole), 7):
            said = await exchange(port, hello(role) + whole[:cut], end=True)
            assert error_codes(said) == []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Cluster(tmp_path_factory.mktemp("bad_input")) as running:
        yield running


def throw(port: int, strings: list[bytes]) -> list[ErrorCode]:
    """Send each string over a connection of its own; return the errors that came back."""
    codes: list[ErrorCode] = []
    for data in strings:
        parser = FrameParser()
        said: list[m.Message] = []
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            line.sendall(data)
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_WR)
                while got := line.recv(65_536):
                    said.extend(parser.feed(got))
        assert all(isinstance(message, m.Welcome | m.Error) for message in said), said
        assert len(error_codes(said)) <= 1
        codes += error_codes(said)
    return codes


async def _throw(port: int, strings: list[bytes], done: list[list[ErrorCode]]) -> None:
    done.append(await anyio.to_thread.run_sync(throw, port, strings))


def random_strings(rng: random.Random, role: str) -> list[bytes]:
    """Return STRINGS byte strings, from mere noise to frames of known opcodes full of noise."""
    strings = []
    for number in range(STRINGS):
        data = rng.randbytes(rng.randrange(1, 64))
        if number % 5 == 1:
            data = hello(role) + data
        elif number % 5 == 2:
            data = hello(role) + struct.pack("<I", len(data)) + data
        elif number % 5 == 3:
            opcode = rng.randrange(0x03, 0x1B)
            data = hello(role) + struct.pack("<IBI", len(data) + 5, opcode, len(data)) + data
        elif number % 5 == 4:
            opcode = rng.randrange(256)
            data = hello(role) + struct.pack("<IBI", len(data) + 5, opcode, len(data)) + data
        strings.append(data)
    return strings


async def test_random_bytes_hurt_nobody_else(cluster: Cluster) -> None:
    rng = random.Random(20_261_124)
    targets = ((cluster.edges[0].port, "client"), (cluster.core.port, "edge"))
    async with ClientHub() as hub:
        writer, reader = Writer(hub, producer=99), Reader(hub, "others")
        await writer.client.connect("127.0.0.1", cluster.edges[0].port)
        await reader.login(cluster.edges[0].port)
        codes: dict[str, list[list[ErrorCode]]] = {role: [] for _, role in targets}
        async with anyio.create_task_group() as tasks:
            for port, role in targets:
                strings = random_strings(rng, role)
                for at in range(AT_ONCE):
                    tasks.start_soon(_throw, port, strings[at::AT_ONCE], codes[role])
            while any(len(done) < AT_ONCE for done in codes.values()):
                writer.write("others", 10)
                await anyio.sleep(0.01)
        for role, done in codes.items():
            assert len({code for part in done for code in part}) >= 4, role
        await writer.all_acked()
        await reader.has(writer.written("others"))
        assert writer.written("others") > 100
        assert writer.lost == 0
        assert reader.lost == []


def reset(port: int, data: bytes) -> None:
    """Connect, send, and end the connection by a reset."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(data)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_connections_that_end_by_a_reset_hurt_nobody_else(cluster: Cluster) -> None:
    async with ClientHub() as hub:
        writer, reader = Writer(hub, producer=98), Reader(hub, "resets")
        await writer.client.connect("127.0.0.1", cluster.edges[0].port)
        await reader.login(cluster.edges[0].port)
        bad = struct.pack("<IBI", 5, 0xEE, 0)
        for port, role in ((cluster.edges[0].port, "client"), (cluster.core.port, "edge")):
            for data in (b"", b"\0", bad, hello(role), hello(role) + bad) * 40:
                await anyio.to_thread.run_sync(reset, port, data)
                writer.write("resets", 1)
        await writer.all_acked()
        await reader.has(400)
        assert writer.lost == 0
        assert reader.lost == []


async def test_names_and_replies_that_fit_no_frame_end_one_connection(tmp_path: Path) -> None:
    long = HEADER_BYTES_MAX - 10
    asked = (
        plain(m.Presence(1, tuple(f"{i:0253d}" for i in range(4_096)))),
        plain(m.End(1, "x" * long)),
        plain(m.CursorAck((m.CursorMark("x" * long, 1, 1),))),
    )
    with Cluster(tmp_path) as cluster:
        port = cluster.edges[0].port
        for data in asked:
            said = await exchange(port, hello("client") + data)
            assert error_codes(said) == [ErrorCode.BAD_HEADER]
        for node in (cluster.core, *cluster.edges):
            assert node.process.poll() is None


async def test_what_cannot_be_encoded_ends_its_connection_and_no_other() -> None:
    """A machine that answers what fits no frame is wrong, and its node serves the others."""
    async with anyio.create_task_group() as tasks:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(SocketAttribute.local_port)

        async def carry(stream: SocketStream) -> None:
            def feed(event: Event) -> None:
                if isinstance(event, Received):
                    name = "x" * (HEADER_BYTES_MAX if event.message == m.Heartbeat(1) else 5)
                    connection.transmit((m.HeartbeatOk(7), m.EndOk(1, name, 0)))

            connection = Connection(stream, 1, feed)
            await connection.run()

        tasks.start_soon(listener.serve, carry)
        said = await exchange(port, frame(m.Heartbeat(1)))
        assert said[0] == m.HeartbeatOk(7)
        assert error_codes(said) == [ErrorCode.FRAME_TOO_LARGE]
        said = await exchange(port, frame(m.Heartbeat(2)), end=True)
        assert said == [m.HeartbeatOk(7), m.EndOk(1, "xxxxx", 0)]
        tasks.cancel_scope.cancel()
    await listener.aclose()
