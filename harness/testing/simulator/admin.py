"""Simulated administrators: they promote and demote, and ask again until they are answered."""

from __future__ import annotations

from harness.history import records as h
from harness.testing.simulator.actors import Surroundings
from harness.testing.simulator.agenda import MS_NS
from harness.testing.simulator.nodes import TICK_NS
from reference.dialer import Dialer, DialSettings
from reference.events import (
    Close,
    Closed,
    Connect,
    ConnectFailed,
    Effect,
    Event,
    Malformed,
    Opened,
    Received,
    Tick,
    Transmit,
    Written,
)
from reference.pulse import PulseSettings
from reference.wire import messages as m

RETRY_NS = 400 * MS_NS
"""How long an administrator waits for an answer before it asks the same again."""


class SimulatedAdmin:
    """Asks the core for one promotion at a time, the same request again until it is answered."""

    def __init__(self, *, name: str, token: str, around: Surroundings) -> None:
        self.name = name
        self.alive = True
        self.presence: dict[str, h.PresenceSeen] = {}
        self._around = around
        dial = DialSettings(
            role="admin",
            node=name,
            token=token,
            pulse=PulseSettings(silence_ms=300, deadline_ms=900),
        )
        self._dialer = Dialer(dial)
        self._wish: m.Promote | None = None
        self._attempts = 0
        self._asked_ns = 0
        self._request = 0
        self._watching: tuple[int, int] = (-1, 0)
        self._carry_out(self._dialer.start())
        self._tick()

    @property
    def busy(self) -> bool:
        """A promotion has no outcome yet."""
        return self._wish is not None

    def _tick(self) -> None:
        self.take(Tick())
        self._around.agenda.after(TICK_NS, self._tick)

    def promote(self, inbox: str, expected_epoch: int, bucket_count: int) -> None:
        """Want a promotion, unless one is under way."""
        if self.busy:
            return
        around = self._around
        self._request += 1
        self._wish = m.Promote(self._request, inbox, expected_epoch, bucket_count)
        self._attempts = 0
        around.trace(f"{self.name}: wants {inbox} from epoch {expected_epoch} at {bucket_count}")
        around.write(
            h.ResizeInvoked(
                t_ns=around.agenda.now_ns,
                inbox=inbox,
                expected_epoch=expected_epoch,
                bucket_count=bucket_count,
            )
        )
        self._ask()
        self._carry_out(self._dialer.flush())

    def watch(self, users: tuple[str, ...]) -> None:
        """Ask who is online; the answers come into `presence` and the history."""
        if self._dialer.ready:
            self._request += 1
            self._watching = (self._request, self._around.agenda.now_ns)
            self._dialer.outlet.offer(m.Presence(self._request, users))
            self._carry_out(self._dialer.flush())

    def _ask(self) -> None:
        if self._wish is not None and self._dialer.ready:
            self._attempts += 1
            self._asked_ns = self._around.agenda.now_ns
            self._dialer.outlet.offer(self._wish)

    def take(self, event: Event) -> None:
        """Take an event, as a machine and its driver in one."""
        now_ns = self._around.agenda.now_ns
        effects: list[Effect] = []
        match event:
            case Received(message=message):
                if not self._dialer.heard(message, now_ns):
                    self._received(message)
            case Written():
                self._dialer.outlet.written()
            case Tick():
                effects = self._dialer.tick(now_ns)
                if now_ns - self._asked_ns >= RETRY_NS:
                    self._ask()
            case Opened(conn=conn):
                effects = self._dialer.opened(conn, now_ns)
            case ConnectFailed() | Closed():
                self._dialer.failed(now_ns)
            case Malformed(code=code, detail=detail):
                raise ValueError(f"the core sent what is no protocol: {code.name} {detail}")
        self._carry_out([*effects, *self._dialer.flush()])

    def _carry_out(self, effects: list[Effect]) -> None:
        network = self._around.network
        for effect in effects:
            match effect:
                case Transmit(conn=conn, messages=messages):
                    network.transmit(conn, messages)
                case Close(conn=conn):
                    network.close(conn)
                case Connect(link=link):
                    network.connect(self, link, self._around.edge("core"))

    def _received(self, message: m.Message) -> None:
        now_ns = self._around.agenda.now_ns
        match message:
            case m.PresenceOk(request=request, entries=entries) if request == self._watching[0]:
                for entry in entries:
                    seen = h.PresenceSeen(
                        t_ns=now_ns,
                        t_invoked_ns=self._watching[1],
                        user=entry.user,
                        online=entry.online,
                        edge=entry.edge,
                        session=entry.session,
                    )
                    self.presence[entry.user] = seen
                    self._around.write(seen)
            case m.Promoted(epoch=epoch, pos_first=pos_first) if self._is_mine(message.request):
                self._done("ok", epoch, pos_first, "")
            case m.Error(request=request, code=code) if self._is_mine(request):
                # A mismatch may be the work of an own attempt whose answer was lost.
                self._done("info" if self._attempts > 1 else "fail", -1, -1, code.name)

    def _is_mine(self, request: int) -> bool:
        return self._wish is not None and self._wish.request == request

    def _done(self, outcome: str, epoch: int, pos_first: int, error: str) -> None:
        wish, self._wish = self._wish, None
        assert wish is not None
        around = self._around
        around.trace(f"{self.name}: {outcome} {wish.inbox} epoch {epoch} at {pos_first} {error}")
        around.write(
            h.ResizeCompleted(
                t_ns=around.agenda.now_ns,
                inbox=wish.inbox,
                expected_epoch=wish.expected_epoch,
                bucket_count=wish.bucket_count,
                outcome=outcome,
                epoch=epoch,
                pos_first=pos_first,
                error=error,
            )
        )
