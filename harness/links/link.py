"""One proxied connection path: what can be done to it, and its state at rest.

What the toxics really do is not what their names say. In Toxiproxy 2.12.0, read in its source and
tried: `reset_peer` sets SO_LINGER 0 only on connections opened while it is on the proxy, and then
*every* close of them is a reset. So linger is set from outside (`harness.links.linger`) when a link
is reset; only where that cannot be done does a link that was made for resets carry the toxic.
`bandwidth` 0 is the only pause that loses nothing. `timeout` 0 swallows bytes, and its removal
closes the connection. A toxicity between 0 and 1 is drawn again whenever a neighbour changes, so
only 1 is used (and 0, for the linger alone).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import anyio

from harness.errors import HarnessError
from harness.links.coverage import ServerLog
from harness.links.linger import ProxySockets
from harness.links.ports import LOOPBACK
from harness.links.probe import Probe, Probed, ProbeWords, greet
from harness.links.proxies import BOTH, DOWNSTREAM, ProxyState, Toxic, ToxiproxyApi
from harness.links.sockets import closing_on, count_open, open_on

GONE_WITHIN_S = 2.0
"""Deadline for the connections of a link that was taken down to be gone."""

POLL_S = 0.005

SERVER_BACK_WITHIN_S = 10.0
"""How long a server that refuses or ends connections is waited for, before there is no probe."""

PROBE_AGAIN_S = 0.05
"""Pause before a probe that was refused or cut is tried again."""

PROBE_WITHIN_S = 15.0
"""Default deadline of a probe's round trip, the wait for its server included."""

_LINGER = Toxic(
    name="rest-linger",
    type="reset_peer",
    stream=DOWNSTREAM,
    attributes={"timeout": 0},
    toxicity=0.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What taking a link down did.

    Attributes:
        connections: Open connections that were closed.
        resets: Those of them that ended by a TCP reset, -1 unknown: nothing is left of them that
            waits for the client's end of file.
    """

    connections: int
    resets: int


def rest_toxics(*, latency_ms: int, jitter_ms: int, resets: bool) -> dict[str, Toxic]:
    """Return the toxics that a link has when no fault holds."""
    toxics = [_LINGER] if resets else []
    if latency_ms or jitter_ms:
        toxics += _latency("rest", latency_ms, jitter_ms)
    return {toxic.name: toxic for toxic in toxics}


def _latency(prefix: str, latency_ms: int, jitter_ms: int) -> list[Toxic]:
    attributes = {"latency": latency_ms, "jitter": jitter_ms}
    return [
        Toxic(name=f"{prefix}-latency-{way}", type="latency", stream=way, attributes=attributes)
        for way in BOTH
    ]


def _holds(toxic: Toxic) -> bool:
    return toxic.type == "bandwidth" and toxic.attributes.get("rate") == 0


class Link:
    """A named proxy in front of one port. Made by `Links.open`.

    Its operations are carried out one after the other. Each raises `HarnessError`, which names the
    proxy, when Toxiproxy does not do it in time; the link's state is unknown then until `heal`.

    Attributes:
        name: "client-edge:eu-west:sender-3", "edge-core:us-east", …
        listen_port: Where clients connect.
        upstream_port: Where the server listens.
        upstream_host: On which machine.
        resets: Whether it was made to be reset.
        closes_in_order: Whether what else ends its connections ends them in order; not so where it
            was made for resets and the sockets of Toxiproxy cannot be reached: then every close is
            a reset, and what a slow reader has not taken yet is lost with it.
        rest: The toxics that it has when no fault holds, by name.
        probed: What the harness's own connections through it did.
        parked: Probes that a fault left open until it is healed, by its kind.
    """

    def __init__(
        self,
        *,
        api: ToxiproxyApi,
        log: ServerLog,
        name: str,
        listen_port: int,
        upstream_port: int,
        upstream_host: str = LOOPBACK,
        sockets: ProxySockets | None = None,
        rest: Mapping[str, Toxic],
        words: ProbeWords,
    ) -> None:
        self.name = name
        self.listen_port = listen_port
        self.upstream_port = upstream_port
        self.upstream_host = upstream_host
        self.closes_in_order = _LINGER.name not in rest
        self.resets = sockets is not None or not self.closes_in_order
        self._sockets = sockets
        self.probed = Probed()
        self._api = api
        self._log = log
        self.rest = dict(rest)
        self._words = words
        self.parked: dict[str, Probe] = {}
        self._holding: set[str] = set()
        """Faults that hold all bytes of it now."""
        self._lock = anyio.Lock()

    def connections(self) -> int | None:
        """Return how many of its connections are open; None where the kernel does not tell."""
        return count_open(self.listen_port)

    async def cut(self) -> Cut:
        """Take it down: its connections are closed, new ones are refused until `restore`.

        They see an end of file, or a reset where the link cannot close in order.
        """
        async with self._lock:
            return await self._take_down()

    async def _take_down(self) -> Cut:
        self._log.read()
        cut_before = self._log.cut[self.name]
        were_open = open_on(self.listen_port)
        await self._api.enable(self.name, False)
        deadline = time.monotonic() + GONE_WITHIN_S
        while self.connections():
            if time.monotonic() > deadline:
                raise HarnessError(f"proxy {self.name!r} is down and its connections are not")
            await anyio.sleep(POLL_S)
        self._log.read()
        in_order = closing_on(self.listen_port)
        if were_open is None or in_order is None:
            return Cut(connections=self._log.cut[self.name] - cut_before, resets=-1)
        return Cut(connections=len(were_open), resets=len(were_open - in_order))

    async def restore(self) -> None:
        """Open it again after `cut`. Idempotent."""
        async with self._lock:
            await self._api.enable(self.name, True)

    async def reset(self) -> Cut:
        """Reset its live connections: both ends see ECONNRESET. New ones are taken at once.

        Raises:
            HarnessError: The link was not made for resets: an end of file is all it could send.
        """
        if not self.resets:
            raise HarnessError(f"link {self.name!r} was not opened for resets")
        async with self._lock:
            cut = await self._take_down_resetting()
            await self._api.enable(self.name, True)
            return cut

    async def _take_down_resetting(self) -> Cut:
        if self._sockets is None:
            return await self._take_down()
        try:
            async with self._sockets.resetting(self.listen_port, self.upstream_port):
                return await self._take_down()
        except OSError as error:
            raise HarnessError(
                f"proxy {self.name!r}: its sockets are out of reach: {error}"
            ) from error

    async def impose(
        self, fault: str, toxic_type: str, attributes: Mapping[str, int], ways: Collection[str]
    ) -> None:
        """Put a toxic on one or both directions, for present and later connections.

        Idempotent: under a name that is there already nothing changes. Of the types that are used,
        `latency` blocks a connection beyond 1,024 chunks on the way in one direction, `bandwidth`
        0 holds all bytes and loses none, `timeout` 0 swallows them.

        Args:
            fault: Name under which `lift` takes it away again.
            toxic_type: A type of Toxiproxy's.
            attributes: In Toxiproxy's own units.
            ways: Of `BOTH`.
        """
        async with self._lock:
            if toxic_type == "bandwidth" and attributes["rate"] == 0:
                self._holding.add(fault)
            for way in ways:
                toxic = Toxic(
                    name=f"{fault}-{way}", type=toxic_type, stream=way, attributes=attributes
                )
                await self._api.add(self.name, toxic)

    async def lift(self, fault: str) -> None:
        """Undo `impose`; what was held is passed on first. Idempotent.

        Lifting a `timeout` closes the connections that lost bytes by it. While another fault holds
        all bytes this waits: a toxic passes on what it has before it goes, and Toxiproxy would
        neither finish that nor take away what holds it.
        """
        while True:
            async with self._lock:
                if not self._holding - {fault}:
                    for way in BOTH:
                        await self._api.remove(self.name, f"{fault}-{way}")
                    self._holding.discard(fault)
                    return
            await anyio.sleep(POLL_S)

    async def heal(self) -> None:
        """Bring it back to rest, whatever was done to it, and verify that. Idempotent.

        Raises:
            HarnessError: It is not at rest; says what is different.
        """
        async with self._lock:
            state = await self._api.show(self.name)
            # What holds all bytes goes first; the others could not pass on theirs.
            for name, toxic in sorted(state.toxics.items(), key=lambda item: not _holds(item[1])):
                if self.rest.get(name) != toxic:
                    await self._api.remove(self.name, name)
            self._holding.clear()
            for name, toxic in self.rest.items():
                if state.toxics.get(name) != toxic:
                    await self._api.add(self.name, toxic)
            if not state.enabled:
                await self._api.enable(self.name, True)
            self._verify_rest(await self._api.show(self.name))

    def is_rest(self, state: ProxyState) -> bool:
        """Say whether the link is open and has the toxics that it has when no fault holds."""
        return state.enabled and state.toxics == self.rest

    def _verify_rest(self, state: ProxyState) -> None:
        if not state.enabled:
            raise HarnessError(f"proxy {self.name!r} is still down after healing")
        if state.toxics != self.rest:
            raise HarnessError(
                f"proxy {self.name!r} has toxics {sorted(state.toxics)} after healing,"
                f" at rest it has {sorted(self.rest)}"
            )

    @property
    def can_probe(self) -> bool:
        """Whether there is something to greet the server with, or a way to log in."""
        return bool(self._words.greeting) or self.logs_in

    @property
    def logs_in(self) -> bool:
        """Whether its probes log in, so that opening one takes several round trips."""
        return self._words.login is not None

    async def round_trip_ms(self, *, within_s: float = PROBE_WITHIN_S) -> float | None:
        """Connect, greet and return how long the first byte of the reply took.

        Of a probe that logs in it is the first byte of the reply to a ping behind that.

        None when nothing came back in time, however often it was tried.

        Raises:
            HarnessError: The link was opened without a probe.
        """
        if not self.can_probe:
            raise HarnessError(f"link {self.name!r} was opened without a probe")
        probe = await self.open_probe(within_s=within_s)
        if probe is None:
            return None
        await probe.close()
        return probe.greeted_ms

    async def open_probe(self, *, within_s: float = PROBE_WITHIN_S) -> Probe | None:
        """Return a connection of the harness's own through the link, greeted and answered.

        A server that is on its way back is waited for. None when there is no such connection in
        time, or nothing to greet with.
        """
        if not self.can_probe:
            return None
        with anyio.move_on_after(within_s):
            give_up_s = anyio.current_time() + SERVER_BACK_WITHIN_S
            while True:
                probe = await self._greet()
                if probe is not None or anyio.current_time() >= give_up_s:
                    return probe
                await anyio.sleep(PROBE_AGAIN_S)
        return None

    async def _greet(self) -> Probe | None:
        try:
            stream = await anyio.connect_tcp(LOOPBACK, self.listen_port)
        except OSError:
            return None
        self.probed.connections += 1
        return await greet(stream, self._words, self.probed)

    async def is_refusing(self) -> bool:
        """Try to connect and say whether that was refused."""
        try:
            stream = await anyio.connect_tcp(LOOPBACK, self.listen_port)
        except OSError:
            return True
        self.probed.connections += 1
        await stream.aclose()
        return False
