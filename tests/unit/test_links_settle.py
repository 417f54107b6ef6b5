"""Taking links down and counting at the end: over a scripted server, so that races are certain."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from harness.errors import HarnessError
from harness.links import link as link_module
from harness.links import links as links_module
from harness.links.coverage import ServerLog
from harness.links.links import Links

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Api:
    """A Toxiproxy that does nothing and tells byte counts from a script."""

    def __init__(self, counts: Iterator[int]) -> None:
        self._counts = counts
        self.enabled = True

    async def create_all(self, wanted: dict[str, tuple[int, int]]) -> None: ...

    async def add(self, name: str, toxic: object) -> None: ...

    async def enable(self, name: str, enabled: bool) -> None:
        self.enabled = enabled

    async def metrics(self) -> str:
        count = next(self._counts)
        return (
            "toxiproxy_proxy_sent_bytes_total"
            f'{{direction="upstream",listener="l",proxy="a",upstream="u"}} {count}\n'
        )


class Server:
    """Its log is an empty file."""

    def __init__(self, api: Api, log: Path) -> None:
        log.touch()
        self.api = api
        self.log = ServerLog(log)


class Ports:
    """One port is enough."""

    def take(self) -> int:
        return 1


async def opened(tmp_path: Path, counts: Iterator[int], latency_ms: int = 0) -> Links:
    server: Any = Server(Api(counts), tmp_path / "log")
    links = Links(server, cast("Any", Ports()))
    await links.open("a", 2, latency_ms=latency_ms)
    return links


def rising() -> Iterator[int]:
    count = 0
    while True:
        count += 1
        yield count


async def test_the_end_waits_until_bytes_stop_rising(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "count_open", lambda _port: 0)
    links = await opened(tmp_path, iter([100, 250, 300, 300]))
    assert (await links.finish())["a"].bytes_up == 300


async def test_the_end_waits_as_long_as_a_latency_holds_bytes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "count_open", lambda _port: 0)
    begun_s = time.monotonic()
    counts = (300 if time.monotonic() - begun_s > 0.15 else 100 for _ in itertools.count())
    links = await opened(tmp_path, counts, latency_ms=300)
    assert (await links.finish())["a"].bytes_up == 300


async def test_bytes_that_never_stop_rising_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "count_open", lambda _port: 0)
    monkeypatch.setattr(links_module, "SETTLE_WITHIN_S", 0.1)
    links = await opened(tmp_path, rising())
    with pytest.raises(HarnessError, match="still rise"):
        await links.finish()


async def test_a_cut_waits_until_its_connections_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now = iter([2, 1, 0])
    monkeypatch.setattr(link_module, "count_open", lambda _port: next(open_now))
    monkeypatch.setattr(link_module, "open_on", lambda _port: {"x", "y", "z"})
    monkeypatch.setattr(link_module, "closing_on", lambda _port: {"y", "earlier"})
    links = await opened(tmp_path, rising())
    cut = await links.by_name["a"].cut()
    assert (cut.connections, cut.resets) == (3, 2)
    assert next(open_now, None) is None


async def test_connections_that_stay_open_are_an_error_that_names_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "count_open", lambda _port: 3)
    monkeypatch.setattr(link_module, "GONE_WITHIN_S", 0.05)
    links = await opened(tmp_path, rising())
    with pytest.raises(HarnessError, match="'a' is down and its connections are not"):
        await links.by_name["a"].cut()


async def test_where_the_kernel_tells_nothing_the_servers_log_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "count_open", lambda _port: None)
    monkeypatch.setattr(link_module, "open_on", lambda _port: None)
    links = await opened(tmp_path, rising())
    log = tmp_path / "log"
    closed = (
        '{"name":"a","listen":"127.0.0.1:1","message":"Source terminated",'
        '"error":"read tcp 127.0.0.1:1->127.0.0.1:9: use of closed network connection"}\n'
    )
    log.write_text(closed)
    links.server.log.read()
    api: Any = links.server.api
    plain_enable = api.enable

    async def enable(name: str, enabled: bool) -> None:
        with log.open("a") as file:
            file.write(closed * 2)
        await plain_enable(name, enabled)

    api.enable = enable
    cut = await links.by_name["a"].cut()
    assert (cut.connections, cut.resets) == (2, -1)
