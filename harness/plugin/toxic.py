"""Any TCP address of a test behind a proxy with faults: the fixture `toxic_link`.

The proxies live in a thread of their own, so that plain and async tests use them alike; every call
returns when Toxiproxy has done it.
"""

from __future__ import annotations

import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from harness.addresses import HIDDEN, Address, is_ipv6, locate
from harness.errors import UsageError
from harness.links.bypass import Bypass, BypassWatch
from harness.links.directions import BOTH, ways
from harness.links.link import Link
from harness.links.links import Links, LinkWanted
from harness.links.ports import LOOPBACK
from harness.provision.toxiproxy import ensure

LISTENS_WITHIN_S = 2.0
"""How long each of several addresses has to take a connection."""

RESETTING = "reset-"
"""How the names of links begin that can be reset."""


SHOWN_MAX = 3
"""Bypasses that a warning names."""

LOOK_EVERY_S = 0.02
"""How often a link looks who goes around it; who does so for less long may not be seen."""


class LinkBypassed(UserWarning):
    """A test's client connected to the address itself while a link to it existed.

    What the link does does not reach such a connection. A test that means it says so with
    ``toxic_link(address, direct_ok=True)``.
    """


class ToxicLink:
    """One address behind a proxy. Connect to `host` and `port` instead of the address itself.

    `upstream` is the address, as host:port; no login is kept of a URL.

    Each fault is a context manager and holds inside it; they may be nested. Behind the test the
    link is brought to rest, and its connections are closed.
    """

    def __init__(
        self,
        link: Link,
        portal: BlockingPortal,
        upstream: str,
        watch: BypassWatch,
        *,
        direct_ok: bool,
    ) -> None:
        self.host = LOOPBACK
        self.upstream = upstream
        self.port = link.listen_port
        self._link = link
        self._portal = portal
        self._serial = 0
        self._bypasses = watch
        self._direct_ok = direct_ok
        self._watching = portal.start_task_soon(self._look_often)

    async def _look_often(self) -> None:
        while self._bypasses.look() is not None:
            await anyio.sleep(LOOK_EVERY_S)

    def bypasses(self) -> list[Bypass] | None:
        """Return the connections that went to the address itself since the link was made.

        Those of this process and of its children, but for Toxiproxy's own; what was open before
        does not count. It is looked for every 20 ms and now: a connection that lived for less long
        may be missing. So ``assert not link.bypasses()`` behind a test says that its client, which
        stays connected, went through the link. None where the kernel does not tell (no Linux), and
        so in a container that hides /proc.
        """

        async def look() -> list[Bypass] | None:
            return self._bypasses.look()

        return self._portal.call(look)

    def __repr__(self) -> str:
        return f"<ToxicLink {self.address} -> {self.upstream}>"

    @property
    def address(self) -> str:
        """``host:port`` to connect to."""
        return f"{self.host}:{self.port}"

    @property
    def connections(self) -> int | None:
        """How many connections are open; None where the kernel does not tell."""
        return self._link.connections()

    @property
    def closes_in_order(self) -> bool:
        """Whether an orderly close of one end reaches the other as one; see ``resets``."""
        return self._link.closes_in_order

    @contextmanager
    def down(self) -> Iterator[int]:
        """Close all connections and refuse new ones; gives how many were closed."""
        cut = self._portal.call(self._link.cut)
        try:
            yield cut.connections
        finally:
            self._portal.call(self._link.restore)

    def reset(self) -> int:
        """Reset the open connections (both ends see ECONNRESET); return how many there were.

        Raises:
            HarnessError: The link was not made with ``resets=True``.
        """
        return self._portal.call(self._link.reset).connections

    @contextmanager
    def latency(
        self, latency_ms: int, *, jitter_ms: int = 0, direction: str = BOTH
    ) -> Iterator[None]:
        """Delay each direction by so much."""
        attributes = {"latency": latency_ms, "jitter": jitter_ms}
        with self._imposed("latency", attributes, direction):
            yield

    @contextmanager
    def bandwidth(self, kb_per_s: int, *, direction: str = BOTH) -> Iterator[None]:
        """Let so many kilobytes per second through."""
        if kb_per_s < 1:
            raise UsageError("bandwidth: at least 1 kB/s; `paused` lets nothing through")
        with self._imposed("bandwidth", {"rate": kb_per_s}, direction):
            yield

    @contextmanager
    def paused(self, *, direction: str = BOTH) -> Iterator[None]:
        """Hold all bytes; connections stay open and nothing is lost."""
        with self._imposed("bandwidth", {"rate": 0}, direction):
            yield

    @contextmanager
    def swallowing(self, direction: str) -> Iterator[None]:
        """Lose all bytes of a direction ("upstream" is towards the server).

        The connections that lost some are closed at the end.
        """
        with self._imposed("timeout", {"timeout": 0}, direction):
            yield

    @contextmanager
    def _imposed(self, kind: str, attributes: Mapping[str, int], direction: str) -> Iterator[None]:
        self._serial += 1
        name = f"test-{kind}-{self._serial}"
        imposing = partial(self._link.impose, name, kind, attributes, ways(direction))
        self._portal.call(imposing)
        try:
            yield
        finally:
            self._portal.call(self._link.lift, name)

    def heal(self) -> None:
        """Bring it back to rest, whatever holds, and verify that."""
        self._portal.call(self._link.heal)

    def close(self) -> None:
        """Verify that it can be brought to rest, then close its connections for good.

        Warns with `LinkBypassed` of clients that went around it.
        """
        around = self.bypasses()
        self._watching.cancel()
        self.heal()
        self._portal.call(self._link.cut)
        if around and not self._direct_ok:
            shown = "; ".join(f"{one.local} of process {one.pid}" for one in around[:SHOWN_MAX])
            warnings.warn(
                f"{len(around)} connections went to {around[0].remote} itself and not through the "
                f"link at {self.address}: {shown}. Connect to link.host and link.port, or say "
                "direct_ok=True",
                LinkBypassed,
                stacklevel=2,
            )


class ToxicServer:
    """The Toxiproxy server of a test session, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        """Start it; its log goes below `folder`.

        Raises:
            HarnessError: It cannot be brought or does not start.
        """
        binary = ensure(lambda line: print(line, file=sys.stderr)).path  # noqa: T201
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        with ExitStack() as starting:
            self._portal = starting.enter_context(start_blocking_portal())
            start = partial(Links.start, binary, run_dir=folder, resets=[f"{RESETTING}*"])
            self._links = self._portal.call(start)
            starting.callback(self._portal.call, self._links.close)
            self._stack = starting.pop_all()
        self._serial = 0

    def open(
        self, host: str, port: int, *, latency_ms: int, resets: bool, direct_ok: bool
    ) -> ToxicLink:
        """Open a link to an address."""
        self._serial += 1
        wanted = LinkWanted(
            name=f"{RESETTING if resets else 'plain-'}{self._serial}",
            upstream_port=port,
            upstream_host=host,
            latency_ms=latency_ms,
        )
        (link,) = self._portal.call(self._links.open_all, [wanted])
        proxy = self._links.server.process
        watch = BypassWatch(host, port, lambda: proxy.command_pid)
        upstream = str(Address(host=host, port=port))
        return ToxicLink(link, self._portal, upstream, watch, direct_ok=direct_ok)

    def close(self) -> None:
        """End the server and its thread."""
        self._stack.close()


class ToxicLinks:
    """The fixture `toxic_link`: call it with an address."""

    def __init__(self, server: ToxicServer) -> None:
        self._server = server
        self._opened: list[ToxicLink] = []

    def __call__(
        self,
        address: str | int | tuple[str, int],
        *,
        latency_ms: int = 0,
        resets: bool = False,
        direct_ok: bool = False,
    ) -> ToxicLink:
        """Put an address behind a proxy.

        Args:
            address: A port of this machine, (host, port), ``"host:port"``, ``"[::1]:port"``, or a
                URL of any scheme, of which host and port are heeded and nothing else. Nobody needs
                to listen there yet. Of several with commas between them the first is taken where
                somebody listens now; `ToxicLink.upstream` says which.
            latency_ms: Delay of each direction at rest.
            resets: Make it for `ToxicLink.reset`. An orderly close stays orderly on Linux where the
                proxy's sockets can be reached; where `ToxicLink.closes_in_order` is false every
                close is a TCP reset, and a slow reader loses what it has not taken yet.
            direct_ok: Do not warn (`LinkBypassed`) when the test goes to the address itself too.

        Raises:
            UsageError: It is no address, or nobody listens at any of several.
        """
        __tracebackhide__ = True
        try:
            host, port = parse_address(address)
        except UsageError as error:
            # A traceback shows arguments, and the frames below hold the URL as it was written.
            trouble, address = str(error), HIDDEN
            raise UsageError(trouble) from None
        address = HIDDEN
        link = self._server.open(
            host, port, latency_ms=latency_ms, resets=resets, direct_ok=direct_ok
        )
        self._opened.append(link)
        return link

    def close(self) -> None:
        """Close every link that was opened."""
        with ExitStack() as closing:
            for link in self._opened:
                closing.callback(link.close)


def parse_address(address: str | int | tuple[str, int]) -> tuple[str, int]:
    """Return the (host, port) of an address; of several, of the first where somebody listens.

    Raises:
        UsageError: It is no address, or nobody listens at any of several.
    """
    if isinstance(address, int):
        address = f"{LOOPBACK}:{address}"
    elif isinstance(address, tuple):
        host, port = address[0].strip("[]"), address[1]
        address = f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}"
    found = locate(address).addresses
    for one in found:
        if len(found) == 1 or _listens(one):
            return one.host, one.port
    shown = ", ".join(map(str, found))
    raise UsageError(f"nobody listens at any of {shown}: a link leads to one of them")


def _listens(one: Address) -> bool:
    with suppress(OSError):
        socket.create_connection((one.host, one.port), timeout=LISTENS_WITHIN_S).close()
        return True
    return False
