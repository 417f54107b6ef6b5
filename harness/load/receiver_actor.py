"""A receiver under load: checks every payload, records what came, moves its cursor."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from harness.history.books import Ledger
from harness.history.records import (
    BROKEN,
    AckCompleted,
    AckInvoked,
    Closed,
    Connected,
    Delivered,
    DeliveredRun,
    EndRead,
    GaugeSeen,
    Opened,
)
from harness.load.client_errors import ClientErrors
from harness.load.mover import Mover
from harness.load.payloads import Payloads
from harness.load.roster import ReaderSeat
from harness.load.sender_actor import RECONNECT_PAUSE_NS
from harness.load.window_meter import WindowMeter
from harness.systems.port import CONTRADICTED, Connector, Delivery
from harness.systems.topology import client_link

SUPERSEDED = "superseded"
"""The cause of a session's end that says that another one has taken its place."""

WINDOW_GAUGE = "unacknowledged_bytes"
"""The gauge of a receiver's session; its limit is the window that the system promised."""

FROM_CURSOR = -2
"""`from_pos` that leaves the place to the system's durable cursor."""


class ReceiverActor:
    """One consumer lineage of one inbox: it always resumes behind the last position it has."""

    def __init__(
        self,
        *,
        seat: ReaderSeat,
        process: int,
        edges: tuple[str, ...],
        connector: Connector,
        recorder: Ledger,
        payloads: Payloads,
        clock: Callable[[], int],
        rng: random.Random,
        errors: ClientErrors | None = None,
    ) -> None:
        self.seat = seat
        self.edge = seat.edge
        self.wanted_up = True
        self.up = False
        self.connecting = False
        self.retry_at_ns = 0
        self.mover = Mover(seat.between, seat.move_every_s)
        self.cut_at_ns = -1
        self.from_cursor = False
        self.reads = True
        """Without it the receiver takes what its window holds and acknowledges nothing."""
        self.last_pos = -1
        self.session = -1
        self.delivered_count = 0
        self.wrong_count = 0
        self.connects = 0
        self._session_pos = -1
        self._acked_pos = -1
        self._confirmed_pos = -1
        self._early: list[Delivery] = []
        self._window = WindowMeter()
        self._process = process
        self._edges = edges
        self._recorder = recorder
        self._payloads = payloads
        self._clock = clock
        self._rng = rng
        self._errors = ClientErrors() if errors is None else errors
        self.receiver = connector.receiver(
            inbox=seat.inbox,
            group=seat.group,
            deliveries=self._on_delivery,
            acks=self._on_ack,
            lost=self._on_lost,
        )

    async def connect(self) -> None:
        """Log in at the edge in turn; on failure the next attempt goes to an edge drawn anew."""
        self.connecting = True
        self._early.clear()
        from_pos = FROM_CURSOR if self.from_cursor else self.last_pos
        t_invoked_ns = self._clock()
        try:
            login = await self.receiver.login(self.edge, from_pos)
        except ConnectionError as error:
            self._errors.hear("receiver", "connect", str(error), self._clock())
            if str(error).startswith(CONTRADICTED):
                self._mark(up=False, cause=BROKEN)
            self.edge = self._rng.choice(self._edges)
            self.retry_at_ns = self._clock() + RECONNECT_PAUSE_NS
            return
        finally:
            self.connecting = False
        self.up = True
        self.from_cursor = False
        self.session = login.session
        self._window = WindowMeter(login.window_bytes)
        self.last_pos = max(self.last_pos, login.next_pos - 1)
        # A login by the cursor may begin before what has come: that is acknowledged as it comes.
        self._session_pos = self._acked_pos = self._confirmed_pos = login.next_pos - 1
        self.connects += 1
        self._recorder.write_now(
            (
                Opened(
                    t_ns=self._clock(),
                    t_invoked_ns=t_invoked_ns,
                    reader=self.seat.reader,
                    inbox=self.seat.inbox,
                    session=login.session,
                    from_pos=from_pos,
                    next_pos=login.next_pos,
                    edge=self.edge,
                    cursor=login.cursor,
                    link=client_link(self.edge, self.seat.group),
                ),
            )
        )
        self._mark(up=True, cause="open" if self.connects == 1 else "churn")
        early, self._early = self._early, []
        for delivery in early:
            self._on_delivery(delivery)

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.session != self.session:
            # The login has not returned yet; its record comes first in the history.
            self._early.append(delivery)
            return
        t_ns = self._clock()
        self._recorder.write_now(
            (
                Delivered(
                    t_ns=t_ns,
                    reader=self.seat.reader,
                    inbox=delivery.inbox,
                    session=delivery.session,
                    pos_first=delivery.pos_first,
                    redelivered=delivery.redelivered,
                    runs=self._examine(delivery),
                ),
            )
        )
        count = len(delivery.lengths) // 4
        last = delivery.pos_first + count - 1
        size_bytes = len(delivery.body) + len(delivery.lengths)
        if self._window.delivered(last, count, size_bytes):
            self._tell_window()
        # What lies up to the last position came before and comes again.
        self.delivered_count += max(0, min(count, last - self.last_pos))
        self.last_pos = max(self.last_pos, last)
        self._session_pos = max(self._session_pos, last)

    def _examine(self, delivery: Delivery) -> tuple[DeliveredRun, ...]:
        """Digest each run; cut a run whose content is wrong so that wrong messages stand alone."""
        runs: list[DeliveredRun] = []
        bounds = np.zeros(len(delivery.lengths) // 4 + 1, dtype=np.int64)
        np.cumsum(np.frombuffer(delivery.lengths, dtype="<u4"), out=bounds[1:])
        at = 0
        for run in delivery.runs:
            first, end = at, at + run.count
            lengths = delivery.lengths[4 * first : 4 * end]
            body = delivery.body[int(bounds[first]) : int(bounds[end])]
            wrong = self._payloads.check(
                run.producer, delivery.inbox, run.n_first, run.count, lengths, body
            )
            self.wrong_count += len(wrong)
            for begin, stop in _cut_at(run.count, wrong):
                piece = slice(int(bounds[first + begin]), int(bounds[first + stop]))
                runs.append(
                    DeliveredRun(
                        producer=run.producer,
                        n_first=run.n_first + begin,
                        count=stop - begin,
                        epoch=run.epoch,
                        bucket_count=run.bucket_count,
                        digest=self._payloads.digest(
                            delivery.lengths[4 * (first + begin) : 4 * (first + stop)],
                            delivery.body[piece],
                        ),
                    )
                )
            at = end
        return tuple(runs)

    def flush_acks(self) -> None:
        """Acknowledge what has come since the last time; called at a steady pace."""
        upto = self._session_pos
        if not self.up or not self.reads or upto <= self._acked_pos:
            return
        self._acked_pos = upto
        self._recorder.write_now(
            (
                AckInvoked(
                    t_ns=self._clock(),
                    reader=self.seat.reader,
                    inbox=self.seat.inbox,
                    session=self.session,
                    upto=upto,
                ),
            )
        )
        self._window.acknowledged(upto)
        self.receiver.ack(upto)

    @property
    def waits_for_ack(self) -> bool:
        """Whether an acknowledgement of the open session is not answered, or not sent yet."""
        return self.up and self.reads and self._session_pos > self._confirmed_pos

    def _on_ack(self, session: int, upto: int, outcome: str) -> None:
        if session == self.session:
            self._confirmed_pos = max(self._confirmed_pos, upto)
        self._recorder.write(
            AckCompleted(
                t_ns=self._clock(),
                reader=self.seat.reader,
                inbox=self.seat.inbox,
                session=session,
                upto=upto,
                outcome=outcome,
            )
        )

    def _on_lost(self, session: int, cause: str) -> None:
        if cause != SUPERSEDED:
            self._errors.hear("receiver", "lost", cause, self._clock())
            cause = BROKEN if cause.startswith(CONTRADICTED) else "lost"
        self._close_session(session, cause)
        # Nobody wants an inbox back from its auditor: a login that was under way pushed it out.
        self.wanted_up = self.wanted_up and (cause != SUPERSEDED or self.seat.audit)
        self.retry_at_ns = self._clock() + RECONNECT_PAUSE_NS

    async def end(self) -> int:
        """Ask where the inbox ends, record it, return the position.

        Raises:
            ConnectionError: The connection ended before the answer.
        """
        t_invoked_ns = self._clock()
        try:
            pos = await self.receiver.end()
        except ConnectionError as error:
            self._errors.hear("receiver", "ask", str(error), self._clock())
            raise
        self._recorder.write(
            EndRead(
                t_ns=self._clock(),
                t_invoked_ns=t_invoked_ns,
                reader=self.seat.reader,
                inbox=self.seat.inbox,
                pos=pos,
            )
        )
        return pos

    async def cut(self, back_at_ns: int, *, abrupt: bool = False) -> None:
        """Cut it (or log out, drawn, unless `abrupt`) and come back through an edge drawn anew."""
        if not self.up or self.connecting:
            # It went down by itself a moment before; a login may be under way already.
            return
        self.retry_at_ns = back_at_ns
        session = self.session
        orderly = not abrupt and self._rng.random() < 0.5
        t_invoked_ns = self._clock()
        self.up = False
        self.connecting = True
        try:
            if orderly:
                await self.receiver.logout()
            else:
                await self.receiver.abort()
        finally:
            self.connecting = False
        self._close_session(session, "logout" if orderly else "abort", t_invoked_ns)
        self.edge = self.mover.next_edge(self.edge) or self._rng.choice(self._edges)

    async def logout(self) -> None:
        """End the session in order and stay away."""
        self.flush_acks()
        self.wanted_up = False
        session = self.session
        if self.up:
            self.up = False
            t_invoked_ns = self._clock()
            await self.receiver.logout()
            self._close_session(session, "logout", t_invoked_ns)

    def _close_session(self, session: int, cause: str, t_invoked_ns: int = -1) -> None:
        self.up = False
        if session < 0:
            return
        if self._window.most_bytes:
            self._tell_window()
        self.session = -1
        self._recorder.write(
            Closed(
                t_ns=self._clock(),
                reader=self.seat.reader,
                inbox=self.seat.inbox,
                session=session,
                cause=cause,
                t_invoked_ns=t_invoked_ns,
            )
        )
        self._mark(up=False, cause="lost" if cause in ("lost", BROKEN, SUPERSEDED) else "churn")

    def _tell_window(self) -> None:
        """Record the most that has waited: when it passes the promise, and at the session's end."""
        self._recorder.write(
            GaugeSeen(
                t_ns=self._clock(),
                role="receiver",
                index=self.session,
                name=WINDOW_GAUGE,
                value=self._window.most_bytes,
                limit=self._window.limit_bytes,
            )
        )

    def _mark(self, *, up: bool, cause: str) -> None:
        self._recorder.write(
            Connected(
                t_ns=self._clock(),
                process=self._process,
                role="receiver",
                name=self.seat.reader,
                edge=self.edge,
                up=up,
                cause=cause,
            )
        )


def _cut_at(count: int, wrong: list[int]) -> list[tuple[int, int]]:
    """Return [begin, stop) pieces of a run in which each wrong index is a piece of its own."""
    pieces: list[tuple[int, int]] = []
    begin = 0
    for index in wrong:
        if index > begin:
            pieces.append((begin, index))
        pieces.append((index, index + 1))
        begin = index + 1
    if begin < count:
        pieces.append((begin, count))
    return pieces
