"""Messages through real nodes: there once, in order, also over killed cores and edges."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from harness.testing.keys import ADMIN_KEY, CLIENT_KEY
from harness.testing.nodes import (
    ADMIN_TOKEN,
    EDGE_TOKEN,
    TOKEN,
    Cluster,
    Reader,
    Writer,
    until,
)
from reference.identity import ADMIN, Claims, sign
from reference.node.admin import AdminClient, Refusal
from reference.node.client_hub import ClientHub
from reference.wire.errors import ErrorCode

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


async def test_messages_pass_once_and_in_order(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        port = cluster.edges[0].port
        async with ClientHub() as hub:
            writer, reader = Writer(hub), Reader(hub, "ann")
            await writer.client.connect("127.0.0.1", port)
            for count in [1, 500, 1, 37] * 5:
                writer.write("ann", count)
                writer.write("bob", 1)
            await reader.login(port)
            await reader.has(5 * 539)
            await writer.all_acked()
            await until(lambda: reader.cursor == 5 * 539 - 1, "the cursor is durable")
            assert await reader.client.end() == 5 * 539 - 1
            assert reader.ids == [(7, n) for n in range(5 * 539)]
            assert await reader.client.logout()
            opened = await reader.client.login("127.0.0.1", port, -2)
            assert opened.next_pos == 5 * 539
            await writer.client.close()
            assert writer.lost == 0


async def test_presence_promotion_and_inspection(tmp_path: Path) -> None:
    with Cluster(tmp_path, "apac") as cluster:
        async with (
            ClientHub() as hub,
            AdminClient("127.0.0.1", cluster.core.port, ADMIN_TOKEN) as admin,
        ):
            reader = Reader(hub, "ann")
            (before,) = await admin.presence(["ann"])
            assert not before.online
            await reader.login(cluster.edges[0].port)
            (during,) = await admin.presence(["ann"])
            assert (during.online, during.edge) == (True, "apac")
            promoted = await admin.promote("ann", 0, 5)
            assert (promoted.epoch, promoted.bucket_count) == (1, 5)
            with pytest.raises(Refusal) as refused:
                await admin.promote("ann", 0, 50)
            assert refused.value.code is ErrorCode.EPOCH_MISMATCH
            writer = Writer(hub)
            await writer.client.connect("127.0.0.1", cluster.edges[0].port)
            writer.write("ann", 100)
            await reader.has(100)
            found = await admin.inspect("ann")
            assert sum(row.count for row in found.rows) == 100
            assert {row.bucket for row in found.rows} == set(range(5))
            await _assert_limits(admin, {"rss_bytes", "wal_bytes", "outlet_bytes", "window_bytes"})
            await reader.client.abort()

            async def offline() -> bool:
                return not (await admin.presence(["ann"]))[0].online

            with anyio.fail_after(5):
                while not await offline():
                    await anyio.sleep(0.02)
        async with AdminClient("127.0.0.1", cluster.edges[0].port, ADMIN_TOKEN) as admin:
            assert (await admin.gauges())["links_ready"] == 1
            await _assert_limits(admin, {"rss_bytes", "buffer_bytes", "output_bytes", "requests"})


async def _assert_limits(admin: AdminClient, bounded: set[str]) -> None:
    """Each of them is published with its limit and below it, and no limit is of nothing."""
    with anyio.fail_after(5):
        while "rss_bytes" not in (gauges := await admin.gauges()):
            await anyio.sleep(0.05)
    limits = {name.removesuffix("_limit") for name in gauges if name.endswith("_limit")}
    assert bounded <= limits <= set(gauges)
    assert all(0 <= gauges[name] <= gauges[f"{name}_limit"] for name in limits)
    assert gauges["rss_bytes"] > 1_000_000


async def test_a_wrong_token_opens_nothing(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        # A client's, an edge's, the key itself, and an administrator's of another key.
        stolen = sign(f"admin-{CLIENT_KEY}", Claims(role=ADMIN, name="admin"))
        for token in (TOKEN, EDGE_TOKEN, ADMIN_KEY, f"admin-{TOKEN}", stolen):
            async with AdminClient("127.0.0.1", cluster.core.port, token) as admin:
                with pytest.raises(Refusal) as refused:
                    await admin.promote("ann", 0, 5)
                assert refused.value.code is ErrorCode.UNAUTHORISED


async def _keep_writing(writer: Writer, stop: anyio.Event) -> None:
    while not stop.is_set():
        writer.write("ann", 200)
        await anyio.sleep(0.002)


async def test_a_killed_core_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        port = cluster.edges[0].port
        async with ClientHub() as hub, anyio.create_task_group() as tasks:
            writer, reader = Writer(hub), Reader(hub, "ann")
            await writer.client.connect("127.0.0.1", port)
            await reader.login(port)
            stop = anyio.Event()
            tasks.start_soon(_keep_writing, writer, stop)
            for _ in range(3):
                acked = writer.acked.get("ann", 0)
                await until(lambda acked=acked: writer.acked.get("ann", 0) > acked + 2000, "load")
                cluster.core.end(signal.SIGKILL)
                cluster.core.restart()
            stop.set()
            await writer.all_acked()
            if reader.lost:
                await reader.login(port)
            await reader.has(writer.written("ann"))
            assert reader.ids == [(7, n) for n in range(writer.written("ann"))]
            assert writer.lost == 0


async def test_a_killed_edge_is_left_for_another_without_a_duplicate(tmp_path: Path) -> None:
    with Cluster(tmp_path, "eu-west", "apac") as cluster:
        async with ClientHub() as hub, anyio.create_task_group() as tasks:
            writer, reader = Writer(hub), Reader(hub, "ann")
            await writer.client.connect("127.0.0.1", cluster.edges[0].port)
            await reader.login(cluster.edges[0].port)
            stop = anyio.Event()
            tasks.start_soon(_keep_writing, writer, stop)
            for killed in (0, 1, 0):
                acked = writer.acked.get("ann", 0)
                await until(lambda acked=acked: writer.acked.get("ann", 0) > acked + 2000, "load")
                lost = writer.lost
                cluster.edges[killed].end(signal.SIGKILL)
                await until(lambda lost=lost: writer.lost > lost, "the sender noticed")
                await until(lambda: reader.client.machine.session < 0, "the receiver noticed")
                other = cluster.edges[1 - killed].port
                await writer.client.connect("127.0.0.1", other)
                await reader.login(other)
                cluster.edges[killed].restart()
            stop.set()
            await writer.all_acked()
            await reader.has(writer.written("ann"))
            assert reader.lost == [False, False, False]


async def test_cutting_in_the_middle_of_a_batch_and_changing_edges(tmp_path: Path) -> None:
    with Cluster(tmp_path, "eu-west", "apac") as cluster:
        async with ClientHub() as hub:
            writer, reader = Writer(hub), Reader(hub, "ann")
            for turn in range(20):
                port = cluster.edges[turn % 2].port
                await writer.client.connect("127.0.0.1", port)
                await reader.login(port)
                for _ in range(5):
                    assert writer.write("ann", 500, size_bytes=1000)
                if turn % 3:
                    await anyio.sleep(0.001 * turn)
                await writer.client.disconnect()
            await writer.client.connect("127.0.0.1", cluster.edges[0].port)
            await writer.all_acked()
            await reader.has(20 * 5 * 500)


async def test_the_last_login_wins(tmp_path: Path) -> None:
    with Cluster(tmp_path, "eu-west", "apac") as cluster:
        async with ClientHub() as hub:
            first, second, writer = Reader(hub, "ann"), Reader(hub, "ann"), Writer(hub)
            await first.login(cluster.edges[0].port)
            await second.login(cluster.edges[1].port)
            await until(lambda: first.lost == [True], "the first session is superseded")
            await writer.client.connect("127.0.0.1", cluster.edges[0].port)
            writer.write("ann", 10)
            await second.has(10)
            assert first.next_pos == 0
            assert second.lost == []


async def test_a_stopped_edge_tells_its_clients(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        async with ClientHub() as hub:
            writer, reader = Writer(hub), Reader(hub, "ann")
            await writer.client.connect("127.0.0.1", cluster.edges[0].port)
            await reader.login(cluster.edges[0].port)
            with anyio.fail_after(10):
                code, _ = await anyio.to_thread.run_sync(cluster.edges[0].end, signal.SIGTERM)
            assert code == 0
            await until(lambda: writer.lost == 1 and reader.lost == [False], "both are told")
            assert not writer.client.connected
            with pytest.raises(ConnectionError):
                await writer.client.connect("127.0.0.1", cluster.edges[0].port, timeout_s=0.3)
