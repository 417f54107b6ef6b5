"""Simulated clients: producers and consumers that write the same history as a real run's."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.history import records as h
from harness.load.payloads import Payloads
from harness.testing.simulator.agenda import MS_NS, Agenda
from harness.testing.simulator.network import Host, Network
from harness.testing.simulator.nodes import TICK_NS
from reference.client import outcomes as o
from reference.client.receiver import ReceiverMachine
from reference.events import Close, Connect, Event, Tick, Transmit
from reference.wire.errors import LocalProtocolError
from reference.wire.messages import Delivery, Segment

RECONNECT_NS_MAX = 100 * MS_NS
"""How long a sender waits at most until it connects again."""

FROM_CURSOR = -2
"""`from_pos` of a consumer that leaves the place to the durable cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every actor shares.

    Attributes:
        write: Takes history records in the order of their times.
        edge: Returns the node of a name, None while it is down.
        trace: Takes a line for people.
    """

    agenda: Agenda
    network: Network
    rng: random.Random
    payloads: Payloads
    edges: tuple[str, ...]
    ack_delay_ns: int
    write: Callable[[h.Record], None]
    edge: Callable[[str], Host | None]
    trace: Callable[[str], None]


class SenderLike(Protocol):
    """What an actor needs of a sender machine; planted ones have it too."""

    def connect(self, now_ns: int) -> list[o.SenderOutput]:
        """Open a connection, and again whenever it is lost."""

    def disconnect(self, now_ns: int) -> list[o.SenderOutput]:
        """Close the connection."""

    def submit(self, segment: Segment, now_ns: int) -> list[o.SenderOutput]:
        """Take a batch."""

    def abandon(self) -> Sequence[o.SenderOutcome]:
        """Give everything up."""

    def handle(self, event: Event, now_ns: int) -> list[o.SenderOutput]:
        """Take an event."""


class SimulatedSender:
    """One life of a producer: one outbox, one producer id, batches to several inboxes."""

    def __init__(
        self, *, name: str, process: int, producer: int, machine: SenderLike, around: Surroundings
    ) -> None:
        self.name = name
        self.alive = True
        self.producer = producer
        self.open_count = 0
        self._process = process
        self._machine = machine
        self._around = around
        self._n_next: dict[str, int] = {}
        self._ended = False
        self._away_until_ns = 0
        self.edge = around.rng.choice(around.edges)
        self._carry_out(machine.connect(self._now))
        self._tick()

    @property
    def _now(self) -> int:
        return self._around.agenda.now_ns

    def _tick(self) -> None:
        if self.alive:
            self.take(Tick())
            self._around.agenda.after(TICK_NS, self._tick)

    def take(self, event: Event) -> None:
        """Hand an event to the machine and carry out what follows."""
        self._carry_out(self._machine.handle(event, self._now))

    def send(self, inbox: str, count: int) -> None:
        """Hand a batch over, unless this lineage has ended."""
        if self._ended:
            return
        around = self._around
        n_first = self._n_next.get(inbox, 0)
        lengths, body = around.payloads.make(self.producer, inbox, n_first, count)
        segment = Segment(
            inbox=inbox,
            producer=self.producer,
            n_first=n_first,
            count=count,
            lengths=lengths,
            body=body,
        )
        self._n_next[inbox] = n_first + count
        around.trace(f"{self.name}: send {self.producer:x}/{inbox} {n_first}+{count}")
        around.write(
            h.Invoked(
                t_ns=self._now,
                process=self._process,
                producer=self.producer,
                inbox=inbox,
                n_first=n_first,
                count=count,
            )
        )
        self.open_count += count
        self._carry_out(self._machine.submit(segment, self._now))

    def leave(self, back_ns: int) -> None:
        """Disconnect, and come back later through an edge drawn anew."""
        self._away_until_ns = self._now + back_ns
        self._carry_out(self._machine.disconnect(self._now))
        self._around.agenda.after(back_ns, self._back)

    def _back(self) -> None:
        if self.alive and self._now >= self._away_until_ns:
            self.edge = self._around.rng.choice(self._around.edges)
            self._carry_out(self._machine.connect(self._now))

    def crash(self) -> None:
        """End this life; what is unanswered stays unknown for ever."""
        self.alive = False
        self._around.network.host_gone(self, silent=self._around.rng.random() < 0.3)
        self._carry_out(self._machine.abandon())

    def _carry_out(self, outputs: Sequence[o.SenderOutput]) -> None:
        around = self._around
        for output in outputs:
            match output:
                case Transmit(conn=conn, messages=messages):
                    around.network.transmit(conn, messages)
                case Close(conn=conn):
                    around.network.close(conn)
                case Connect(link=link):
                    around.network.connect(self, link, around.edge(self.edge))
                case o.Acknowledged(pos_first=pos_first, epoch=epoch):
                    self._completed(output, "ok", pos_first, epoch, "")
                case o.Rejected(definite=definite, code=code):
                    self._completed(output, "fail" if definite else "info", -1, -1, code.name)
                case o.Unresolved(attempts=attempts):
                    self._completed(output, "info" if attempts else "fail", -1, -1, "closed")
                case o.LineageLost():
                    around.trace(f"{self.name}: lineage lost, {output.detail}")
                    self._ended = True
                    self._carry_out(self._machine.abandon())
                case o.ConnectionLost():
                    # The machine leaves it to its application when and where to connect again.
                    around.agenda.after(around.rng.randrange(RECONNECT_NS_MAX), self._back)

    def _completed(
        self,
        range_: o.Acknowledged | o.Rejected | o.Unresolved,
        outcome: str,
        pos_first: int,
        epoch: int,
        error: str,
    ) -> None:
        around = self._around
        n_first, count = range_.n_first, range_.count
        around.trace(
            f"{self.name}: {outcome} {range_.producer:x}/{range_.inbox} {n_first}+{count} "
            f"pos {pos_first} {error}"
        )
        self.open_count -= count
        around.write(
            h.Completed(
                t_ns=self._now,
                process=self._process,
                producer=range_.producer,
                inbox=range_.inbox,
                n_first=n_first,
                count=count,
                outcome=outcome,
                pos_first=pos_first,
                epoch=epoch,
                attempts=range_.attempts,
                error=error,
            )
        )


class SimulatedReceiver:
    """One life of a consumer of one inbox: it resumes behind the last position that it has.

    A new life knows nothing and leaves the place to the durable cursor (`from_pos` says so).
    """

    def __init__(
        self,
        *,
        reader: str,
        inbox: str,
        machine: ReceiverMachine,
        around: Surroundings,
        from_pos: int = FROM_CURSOR,
        acks: bool = True,
    ) -> None:
        self.name = reader
        self.reader = reader
        self.inbox = inbox
        self.alive = True
        self.wanted = True
        self.session = -1
        self.last_pos = -1
        self.end = (-1, -1)
        """When the end was last asked for, and what the answer was."""
        self.edge = around.rng.choice(around.edges)
        self._dialled = self.edge
        self._knows = False
        self._from_pos = from_pos
        self._asked_from = from_pos
        self._acks = acks
        self._acked = -1
        self._confirmed = -1
        self._ack_due = False
        self._ends: dict[int, int] = {}
        self._login_ns = 0
        self._machine = machine
        self._around = around
        self._tick()

    @property
    def _now(self) -> int:
        return self._around.agenda.now_ns

    @property
    def up(self) -> bool:
        """A session is open, as far as this consumer knows."""
        return self.session >= 0

    def _tick(self) -> None:
        if not self.alive:
            return
        self.take(Tick())
        if self.wanted and self._machine.idle and self.session < 0:
            self._asked_from = self.last_pos if self._knows else self._from_pos
            self._login_ns = self._now
            self._carry_out(self._machine.login(self._asked_from, self._now))
        self._around.agenda.after(TICK_NS, self._tick)

    def take(self, event: Event) -> None:
        """Hand an event to the machine and carry out what follows."""
        self._carry_out(self._machine.handle(event, self._now))

    def ask_end(self) -> None:
        """Ask where the inbox ends; the answer is in `end` and in the history."""
        if self.up and not self._ends:
            asked_ns = self._now
            request, outputs = self._machine.end(self._now)
            self._ends[request] = asked_ns
            self._carry_out(outputs)

    def abort(self, back_ns: int) -> None:
        """Cut the own connection, and come back later through an edge drawn anew."""
        outputs = self._machine.abort(self._now)
        self._session_over("abort")
        self._carry_out(outputs)
        self._rest(back_ns)

    def logout(self, back_ns: int) -> None:
        """End the session in order, and come back later."""
        self._carry_out(self._machine.logout(self._now))
        self._rest(back_ns)

    def _rest(self, back_ns: int) -> None:
        self.wanted = False
        self._around.agenda.after(back_ns, self.come_back)

    def come_back(self) -> None:
        """Want a session (again), through an edge drawn anew."""
        self.edge = self._around.rng.choice(self._around.edges)
        self.wanted = True

    def crash(self) -> None:
        """End this life."""
        self.alive = False
        self._session_over("lost")
        self._around.network.host_gone(self, silent=self._around.rng.random() < 0.3)

    def _carry_out(self, outputs: Sequence[o.ReceiverOutput]) -> None:
        around = self._around
        for output in outputs:
            match output:
                case Transmit(conn=conn, messages=messages):
                    around.network.transmit(conn, messages)
                case Close(conn=conn):
                    around.network.close(conn)
                case Connect(link=link):
                    self._dialled = self.edge
                    around.network.connect(self, link, around.edge(self.edge))
                case o.Delivered(delivery=delivery):
                    self._delivered(delivery)
                case o.LoggedIn():
                    self._logged_in(output)
                case o.CursorConfirmed(session=session, upto=upto):
                    self._confirmed = max(self._confirmed, upto)
                    self._write_ack(session, upto, "ok")
                case o.EndAnswered(request=request, pos=pos):
                    self._end_answered(request, pos)
                case o.EndFailed(request=request):
                    self._ends.pop(request, None)
                case o.SessionLost(superseded=superseded, cause=cause):
                    around.trace(f"{self.reader}: session {self.session} lost, {cause}")
                    self._session_over("superseded" if superseded else "lost")
                    self.wanted = self.wanted and not superseded
                    self.edge = around.rng.choice(around.edges)
                case o.LoggedOut():
                    self._session_over("logout")

    def _logged_in(self, login: o.LoggedIn) -> None:
        self.session = login.session
        self._knows = True
        self.last_pos = max(self.last_pos, login.next_pos - 1)
        self._acked = self._confirmed = login.next_pos - 1
        self._around.trace(
            f"{self.reader}: session {login.session} at {self._dialled} from {self._asked_from} "
            f"begins at {login.next_pos}"
        )
        self._around.write(
            h.Opened(
                t_ns=self._now,
                t_invoked_ns=self._login_ns,
                reader=self.reader,
                inbox=self.inbox,
                session=login.session,
                from_pos=self._asked_from,
                next_pos=login.next_pos,
                edge=self._dialled,
                cursor=login.cursor,
            )
        )

    def _delivered(self, delivery: Delivery) -> None:
        around = self._around
        around.trace(
            f"{self.reader}: session {delivery.session} got pos {delivery.pos_first}"
            f"+{delivery.count} {[(f'{r.producer:x}', r.n_first, r.count) for r in delivery.runs]}"
        )
        at = first = 0
        runs = []
        for run in delivery.runs:
            lengths = delivery.lengths[4 * first : 4 * (first + run.count)]
            size = sum(
                int.from_bytes(lengths[i : i + 4], "little") for i in range(0, len(lengths), 4)
            )
            digest = around.payloads.digest(lengths, delivery.body[at : at + size])
            runs.append(
                h.DeliveredRun(
                    producer=run.producer,
                    n_first=run.n_first,
                    count=run.count,
                    epoch=run.epoch,
                    bucket_count=run.bucket_count,
                    digest=digest,
                )
            )
            at += size
            first += run.count
        around.write(
            h.Delivered(
                t_ns=self._now,
                reader=self.reader,
                inbox=self.inbox,
                session=delivery.session,
                pos_first=delivery.pos_first,
                redelivered=delivery.redelivered,
                runs=tuple(runs),
            )
        )
        self.last_pos = max(self.last_pos, delivery.pos_first + delivery.count - 1)
        if self._acks and not self._ack_due:
            self._ack_due = True
            around.agenda.after(around.rng.randrange(around.ack_delay_ns), self._ack)

    def _ack(self) -> None:
        self._ack_due = False
        if not self.alive or not self.up or self.last_pos <= self._acked:
            return
        upto = self._around.rng.randint(self._acked + 1, self.last_pos)
        if self._around.rng.random() < 0.5:
            upto = self.last_pos
        self._acked = upto
        self._around.trace(f"{self.reader}: session {self.session} acks {upto}")
        self._around.write(
            h.AckInvoked(
                t_ns=self._now,
                reader=self.reader,
                inbox=self.inbox,
                session=self.session,
                upto=upto,
            )
        )
        try:
            self._carry_out(self._machine.ack(upto, self._now))
        except LocalProtocolError:
            # The session that these positions came from is over for the machine already.
            self._write_ack(self.session, upto, "fail")
        if self.last_pos > upto and not self._ack_due:
            self._ack_due = True
            self._around.agenda.after(
                self._around.rng.randrange(self._around.ack_delay_ns), self._ack
            )

    def _write_ack(self, session: int, upto: int, outcome: str) -> None:
        self._around.trace(f"{self.reader}: session {session} ack {upto} {outcome}")
        self._around.write(
            h.AckCompleted(
                t_ns=self._now,
                reader=self.reader,
                inbox=self.inbox,
                session=session,
                upto=upto,
                outcome=outcome,
            )
        )

    def _end_answered(self, request: int, pos: int) -> None:
        asked_ns = self._ends.pop(request)
        self.end = (asked_ns, pos)
        self._around.trace(f"{self.reader}: the end is {pos}")
        self._around.write(
            h.EndRead(
                t_ns=self._now,
                t_invoked_ns=asked_ns,
                reader=self.reader,
                inbox=self.inbox,
                pos=pos,
            )
        )

    def _session_over(self, cause: str) -> None:
        if self.session < 0:
            return
        if self._acked > self._confirmed:
            self._write_ack(self.session, self._acked, "info")
        self._around.write(
            h.Closed(
                t_ns=self._now,
                reader=self.reader,
                inbox=self.inbox,
                session=self.session,
                cause=cause,
            )
        )
        self.session = -1
        self._ends.clear()
