"""TLS on every hop of real nodes: who is dialled has to be who was wanted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from harness.systems.reference.certificates import Certificates, make_certificates
from harness.testing.keys import edge_token
from harness.testing.nodes import ADMIN_TOKEN, CORE_KEYS, EDGE_KEYS, Node, Reader, Writer, until
from reference.node.admin import AdminClient
from reference.node.client_hub import ClientHub
from reference.node.secrets import SettingsError
from reference.node.tls import SecureStream, TlsFiles, Trust, server_context, trust

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def core(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    database = str(tmp_path_factory.mktemp("core") / "core.db")
    tls = msgspec.to_builtins(certificates.core)
    node = Node("core", {"database": database, "core": CORE_KEYS, "tls": tls})
    yield node
    node.close()


def start_edge(core: Node, files: TlsFiles) -> Node:
    edge = {"name": "eu", "token": edge_token("eu"), **EDGE_KEYS}
    return Node("edge", {"core_port": core.port, "edge": edge, "tls": msgspec.to_builtins(files)})


@pytest.fixture(scope="module")
def edge(core: Node, certificates: Certificates) -> Iterator[Node]:
    node = start_edge(core, certificates.edge)
    yield node
    node.close()


async def is_opened(port: int, trusted: Trust | None) -> bool:
    async with AdminClient("127.0.0.1", port, ADMIN_TOKEN, trusted=trusted) as admin:
        try:
            await admin.gauges()
        except ConnectionError:
            return False
        return True


async def test_messages_pass_once_and_in_order(edge: Node, certificates: Certificates) -> None:
    async with ClientHub(trust(certificates.authority, "edge")) as hub:
        writer, reader = Writer(hub), Reader(hub, "ann")
        await writer.client.connect("127.0.0.1", edge.port)
        await reader.login(edge.port)
        for n in range(20):
            # Also frames of many TLS records, in both directions at once.
            writer.write("ann", 100, size_bytes=5_000 if n % 5 == 0 else 20)
        await writer.all_acked()
        await reader.has(2_000)
        await reader.client.logout()
        await writer.client.close()
        carried = reader.client.bytes_carried[0]
    # What went over the wire is counted, as the proxies between see it.
    assert carried > 4 * 100 * 5_000 + 16 * 100 * 20


async def test_who_is_not_the_one_that_was_wanted_is_told_nothing(
    core: Node, edge: Node, certificates: Certificates, tmp_path: Path
) -> None:
    other = make_certificates(tmp_path)
    assert await is_opened(core.port, trust(certificates.authority, "core"))
    assert await is_opened(edge.port, trust(certificates.authority, "edge"))
    for trusted in (None, trust(other.authority, "core"), trust(certificates.authority, "edge")):
        assert not await is_opened(core.port, trusted)
    # The certificate of an edge does not pass for the core's, nor is the host's name enough.
    assert not await is_opened(edge.port, trust(certificates.authority, "core"))
    assert not await is_opened(edge.port, trust(certificates.authority))


async def test_an_edge_tells_its_token_to_no_other_core(
    core: Node, certificates: Certificates, tmp_path: Path
) -> None:
    other = make_certificates(tmp_path)
    for files in (
        msgspec.structs.replace(certificates.edge, authority=other.authority),
        msgspec.structs.replace(certificates.edge, core_name="edge"),
    ):
        node = start_edge(core, files)
        try:
            await until(lambda node=node: "the certificate is not trusted" in node.log(), "refusal")
        finally:
            node.close()


async def test_connections_that_never_shake_hands_shut_nobody_out(
    edge: Node, certificates: Certificates
) -> None:
    lines = [socket.create_connection(("127.0.0.1", edge.port), 5) for _ in range(600)]
    try:
        with anyio.fail_after(10):
            assert await is_opened(edge.port, trust(certificates.authority, "edge"))
    finally:
        for line in lines:
            line.close()


def test_keys_are_private_and_gone_with_the_run(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    assert made.folder.stat().st_mode & 0o777 == 0o700
    for files in (made.core, made.edge):
        assert Path(files.key).stat().st_mode & 0o777 == 0o600
        assert isinstance(server_context(files), ssl.SSLContext)
    Path(made.core.key).chmod(0o644)
    with pytest.raises(SettingsError, match="can be read by others"):
        server_context(made.core)
    made.remove()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SettingsError, match="No such file"):
        trust(made.authority)


@pytest.mark.parametrize("ended", [anyio.EndOfStream(), ssl.SSLError(1, "bad record")])
async def test_a_write_that_meets_the_peers_end_ends_its_connection_alone(
    ended: Exception,
) -> None:
    """A node treats any other error of a connection as its own, and ends."""

    class Ended:
        async def send(self, item: bytes) -> None:
            raise ended

    with pytest.raises(anyio.BrokenResourceError):
        await SecureStream(Ended(), None).send(b"x")  # type: ignore[arg-type]
