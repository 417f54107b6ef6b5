"""Simulated connections: real frames, real parsers, latency, resets and half-open cuts.

Bytes of one direction arrive in the order in which they were sent, cut at drawn places. A reset
loses what is under way and tells both ends. A cut loses everything from now on, in one direction
or both, and tells nobody: only heartbeats find it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from harness.testing.simulator.agenda import MS_NS, Agenda
from reference.events import Closed, ConnectFailed, Event, Malformed, Opened, Received, Written
from reference.wire.errors import RemoteProtocolError
from reference.wire.frames import FrameParser, encode
from reference.wire.messages import Message

LATENCY_MAX_NS = 40 * MS_NS
"""The longest one-way latency that a connection is given."""


class Host(Protocol):
    """Something that runs a machine. It is gone for good once `alive` is False."""

    name: str
    alive: bool

    def take(self, event: Event) -> None:
        """Hand an event to the machine and carry its effects out."""


class End:
    """One end of a connection."""

    def __init__(self, host: Host, conn: int, link: int) -> None:
        self.host = host
        self.conn = conn
        self.link = link
        self.open = True
        self.deaf = False
        """Nothing that was sent to this end arrives any more."""
        self.parser = FrameParser()
        self.arrives_ns = 0

    def tell(self, event: Event) -> None:
        """Hand an event to the host, unless this end or the host is gone."""
        if self.open and self.host.alive:
            self.host.take(event)


class Connection:
    """Two ends and the latency between them."""

    def __init__(self, caller: End, callee: End, latency_ns: int) -> None:
        self.ends = (caller, callee)
        self.latency_ns = latency_ns

    def other(self, end: End) -> End:
        """Return the end opposite to `end`."""
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    @property
    def alive(self) -> bool:
        """Both ends are open and on hosts that run."""
        return all(end.open and end.host.alive for end in self.ends)

    def __str__(self) -> str:
        return f"{self.ends[0].host.name}~{self.ends[1].host.name}"


class Network:
    """All connections of a simulation."""

    def __init__(self, agenda: Agenda, rng: random.Random) -> None:
        self._agenda = agenda
        self._rng = rng
        self._conns = 0
        self._of: dict[int, Connection] = {}

    def connect(self, host: Host, link: int, target: Host | None) -> None:
        """Answer a `Connect`: the target hears of it first."""
        latency_ns = self._rng.randrange(LATENCY_MAX_NS // 20, LATENCY_MAX_NS)
        caller, callee = self._end(host, link), None
        caller.open = False

        def arrive() -> None:
            nonlocal callee
            if target is None or not target.alive or not host.alive:
                return
            callee = self._end(target, -1)
            connection = Connection(caller, callee, latency_ns)
            self._of[caller.conn] = self._of[callee.conn] = connection
            target.take(Opened(conn=callee.conn))

        def answer() -> None:
            if not host.alive:
                return
            if callee is None or not callee.open or not callee.host.alive:
                host.take(ConnectFailed(link=link))
                return
            caller.open = True
            host.take(Opened(conn=caller.conn, link=link))

        self._agenda.after(latency_ns, arrive)
        self._agenda.after(2 * latency_ns, answer)

    def _end(self, host: Host, link: int) -> End:
        self._conns += 1
        return End(host, self._conns, link)

    def _find(self, conn: int) -> tuple[Connection, End] | None:
        connection = self._of.get(conn)
        if connection is None:
            return None
        end = connection.ends[0] if connection.ends[0].conn == conn else connection.ends[1]
        return (connection, end) if end.open else None

    def transmit(self, conn: int, messages: Sequence[Message]) -> None:
        """Send messages; `Written` follows, whether or not anything arrives."""
        found = self._find(conn)
        if found is None:
            return
        connection, end = found
        data = b"".join(piece for message in messages for piece in encode(message))
        cut = self._rng.randrange(len(data) + 1) if self._rng.random() < 0.3 else len(data)
        for chunk in (data[:cut], data[cut:]):
            if chunk:
                self._send(connection, connection.other(end), chunk)
        self._agenda.after(self._rng.randrange(MS_NS), lambda: end.tell(Written(conn=conn)))

    def _send(self, connection: Connection, target: End, chunk: bytes) -> None:
        due_ns = self._agenda.now_ns + connection.latency_ns + self._rng.randrange(2 * MS_NS)
        target.arrives_ns = max(target.arrives_ns, due_ns)

        def arrive() -> None:
            if target.deaf or not target.open:
                return
            try:
                for message in target.parser.feed(chunk):
                    target.tell(Received(conn=target.conn, message=message))
            except RemoteProtocolError as error:
                target.deaf = True
                malformed = Malformed(conn=target.conn, code=error.code, detail=error.detail)
                target.tell(malformed)

        self._agenda.after(target.arrives_ns - self._agenda.now_ns, arrive)

    def close(self, conn: int) -> None:
        """Close one end: what it sent still arrives, then the other end hears of it."""
        found = self._find(conn)
        if found is None:
            return
        connection, end = found
        other = connection.other(end)
        end.deaf = True
        self._agenda.after(MS_NS // 10, lambda: self._closed(end))
        other.arrives_ns = max(other.arrives_ns, self._agenda.now_ns + connection.latency_ns)
        wait_ns = other.arrives_ns - self._agenda.now_ns + 1
        self._agenda.after(wait_ns, lambda: None if other.deaf else self._closed(other))

    def _closed(self, end: End) -> None:
        if end.open:
            end.tell(Closed(conn=end.conn))
            end.open = False

    def reset(self, connection: Connection) -> None:
        """Lose what is under way in both directions and tell both ends."""
        for end in connection.ends:
            end.deaf = True
            self._later(end)

    def _later(self, end: End) -> None:
        delay_ns = self._rng.randrange(5 * MS_NS)
        self._agenda.after(delay_ns, lambda: self._closed(end))

    def cut(self, connection: Connection, directions: int) -> None:
        """Lose everything from now on: towards the callee (1), the caller (2) or both (3)."""
        connection.ends[1].deaf |= bool(directions & 1)
        connection.ends[0].deaf |= bool(directions & 2)

    def host_gone(self, host: Host, *, silent: bool) -> None:
        """A host stopped at once. Peers are reset, or (`silent`) hear nothing and lose the rest."""
        for connection in self.connections():
            for end in connection.ends:
                if end.host is not host:
                    continue
                end.open = False
                other = connection.other(end)
                if silent:
                    other.deaf = True
                elif not other.deaf:
                    self._reset_behind(other, connection.latency_ns)

    def _reset_behind(self, end: End, latency_ns: int) -> None:
        """Tell an end that its peer is gone, behind what the peer had sent."""
        end.arrives_ns = max(end.arrives_ns, self._agenda.now_ns + latency_ns) + 1
        self._agenda.after(end.arrives_ns - self._agenda.now_ns, lambda: self._closed(end))

    def connections(self) -> list[Connection]:
        """Return the connections with an open end, oldest first."""
        for conn in [c for c, x in self._of.items() if not any(e.open for e in x.ends)]:
            del self._of[conn]
        return list(dict.fromkeys(self._of.values()))
