"""A sender under load: makes batches as they become due, records them, hands them over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

from harness.history.books import Ledger
from harness.history.records import BROKEN, OK, Completed, Connected, Invoked
from harness.load.client_errors import OURS, ClientErrors
from harness.load.mover import Mover
from harness.load.payloads import Payloads
from harness.load.reach import see_batch
from harness.load.roster import SenderSeat
from harness.load.schedule import due_batches, due_count
from harness.systems.port import (
    CONTRADICTED,
    Batch,
    Connector,
    OutboxFull,
    Outcome,
    Recutting,
)

BURST_BATCHES_MAX = 64
"""Batches handed over in one go, before others on the event loop get their turn."""

RECONNECT_PAUSE_NS = 20_000_000
"""Wait after a failed or lost connection before the next attempt. It counts in latencies though it
is ours: short against what a user would notice, and long enough that hundreds of clients that find
nobody do not take the machine from what they wait for."""


class SenderActor:
    """One producer with its schedule.

    A batch's `Invoked` is on file before the batch is handed over. A batch that finds the outbox
    full keeps its ids and is handed over later; its latency counts from when it was due.
    """

    def __init__(
        self,
        *,
        seat: SenderSeat,
        process: int,
        edges: tuple[str, ...],
        connector: Connector,
        recorder: Ledger,
        payloads: Payloads,
        clock: Callable[[], int],
        rng: random.Random,
        errors: ClientErrors | None = None,
        reach: Counter[str] | None = None,
    ) -> None:
        self.seat = seat
        self.edge = seat.edge
        self.wanted_up = True
        self.up = False
        self.connecting = False
        """A connect or disconnect is under way; nothing else may touch the connection."""
        self.retry_at_ns = 0
        self.mover = Mover(seat.between, seat.move_every_s)
        self.cut_at_ns = -1
        self.cut_on_submit = False
        self.on_cut: Callable[[SenderActor], None] = lambda _actor: None
        self.open_count = 0
        self.handed_count = 0
        self.ok_count = 0
        self.fail_count = 0
        self.info_count = 0
        self.connects = 0
        self._process = process
        self._edges = edges
        self._recorder = recorder
        self._payloads = payloads
        self._clock = clock
        self._rng = rng
        self._errors = ClientErrors() if errors is None else errors
        self._reach: Counter[str] = Counter() if reach is None else reach
        self._due: Iterator[tuple[int, int]] = iter(())
        self._next: tuple[int, int] | None = None
        self._waiting: Batch | None = None
        self._begin_ns = 0
        self._end_ns = 0
        self._late_ns = 0
        self._inboxes = seat.inboxes or (seat.inbox,)
        self._turn = 0
        self._n_next = dict.fromkeys(self._inboxes, 0)
        self._pumping = False
        self.sender = connector.sender(
            producer=seat.producer, group=seat.group, outcomes=self._on_outcome, lost=self._on_lost
        )
        if seat.recut_count and isinstance(self.sender, Recutting):
            self.sender.cut_resends(seat.recut_count)

    def begin(self, begin_ns: int, end_ns: int) -> None:
        """Start the schedule."""
        self._begin_ns, self._end_ns = begin_ns, end_ns
        self._due = due_batches(self.seat, begin_ns, end_ns)
        self._next = next(self._due, None)

    def end_schedule(self, now_ns: int) -> None:
        """Forget what is not due yet; a closed loop, for which all is due, ends."""
        if not self.seat.rate_per_s and not self.seat.count:
            self._next = None
            self._due = iter(())
        self._end_ns = min(self._end_ns, now_ns + 1)
        while self._next is not None and self._next[0] > now_ns:
            self._next = next(self._due, None)

    @property
    def finished(self) -> bool:
        """Everything that was to be sent has a known outcome."""
        return self._next is None and self._waiting is None and self.open_count == 0

    @property
    def due_ns(self) -> int | None:
        """When the next batch is due; None when the schedule is over."""
        return None if self._next is None else self._next[0]

    def offered(self, now_ns: int) -> tuple[int, int, int]:
        """Return (messages due so far, handed over of them, worst lateness since the last time).

        The lateness in ns counts what is overdue now as well. A closed loop has no schedule: all
        three are 0.
        """
        if not self.seat.rate_per_s:
            return 0, 0, 0
        late_ns, self._late_ns = self._late_ns, 0
        if self._next is not None:
            late_ns = max(late_ns, now_ns - self._next[0])
        due = due_count(self.seat, self._begin_ns, self._end_ns, now_ns)
        return due, self.handed_count, late_ns

    def pump(self) -> None:
        """Hand over what is due and finds room."""
        if self._pumping:
            return
        self._pumping = True
        try:
            for _ in range(BURST_BATCHES_MAX):
                if not self._pump_one():
                    return
        finally:
            self._pumping = False

    def _pump_one(self) -> bool:
        if self._waiting is None:
            now_ns = self._clock()
            if self._next is None or self._next[0] > now_ns:
                return False
            due_ns, count = self._next
            self._next = next(self._due, None)
            self._waiting = self._make(due_ns, count, now_ns)
        batch = self._waiting
        try:
            self.sender.submit(batch)
        except OutboxFull:
            return False
        self._waiting = None
        if self.cut_on_submit:
            self.cut_on_submit = False
            self.on_cut(self)
        return True

    def _make(self, due_ns: int, count: int, now_ns: int) -> Batch:
        seat = self.seat
        inbox = self._inboxes[self._turn]
        self._turn = (self._turn + 1) % len(self._inboxes)
        n_first = self._n_next[inbox]
        self._n_next[inbox] += count
        lengths, body = self._payloads.make(seat.producer, inbox, n_first, count)
        see_batch(lengths, body, self._reach)
        self.open_count += count
        self.handed_count += count
        # A closed loop has no schedule to be late against.
        due_ns = due_ns if seat.rate_per_s else now_ns
        self._late_ns = max(self._late_ns, now_ns - due_ns)
        self._recorder.write_now(
            (
                Invoked(
                    t_ns=self._clock(),
                    process=self._process,
                    producer=seat.producer,
                    inbox=inbox,
                    n_first=n_first,
                    count=count,
                    t_due_ns=due_ns,
                ),
            )
        )
        return Batch(
            inbox=inbox,
            producer=seat.producer,
            n_first=n_first,
            count=count,
            lengths=lengths,
            body=body,
        )

    def _on_outcome(self, outcome: Outcome) -> None:
        error = self._errors.clean(outcome.error)
        if outcome.outcome != OK and error not in OURS:
            self._errors.hear("sender", "outcome", error, self._clock(), outcome.count)
        self._recorder.write(
            Completed(
                t_ns=self._clock(),
                process=self._process,
                producer=outcome.producer,
                inbox=outcome.inbox,
                n_first=outcome.n_first,
                count=outcome.count,
                outcome=outcome.outcome,
                pos_first=outcome.pos_first,
                epoch=outcome.epoch,
                attempts=outcome.attempts,
                error=error,
            )
        )
        self.open_count -= outcome.count
        match outcome.outcome:
            case "ok":
                self.ok_count += outcome.count
            case "fail":
                self.fail_count += outcome.count
            case _:
                self.info_count += outcome.count
        if self._waiting is not None or not self.seat.rate_per_s:
            self.pump()

    def _on_lost(self, cause: str) -> None:
        self._errors.hear("sender", "lost", cause, self._clock())
        if self.up:
            self._mark(up=False, cause=BROKEN if cause.startswith(CONTRADICTED) else "lost")
        self.up = False
        self.retry_at_ns = self._clock() + RECONNECT_PAUSE_NS

    async def connect(self) -> None:
        """Connect to the edge in turn; on failure the next attempt goes to an edge drawn anew."""
        self.connecting = True
        try:
            await self.sender.connect(self.edge)
        except ConnectionError as error:
            self._errors.hear("sender", "connect", str(error), self._clock())
            if str(error).startswith(CONTRADICTED):
                self._mark(up=False, cause=BROKEN)
            self.edge = self._rng.choice(self._edges)
            self.retry_at_ns = self._clock() + RECONNECT_PAUSE_NS
        else:
            self.up = True
            self.connects += 1
            self._mark(up=True, cause="open" if self.connects == 1 else "churn")
        finally:
            self.connecting = False

    async def cut(self, back_at_ns: int) -> None:
        """Cut the connection abruptly and come back later through an edge drawn anew."""
        if not self.up or self.connecting:
            # It went down by itself a moment before; a connect may be under way already.
            return
        self._mark(up=False, cause="churn")
        self.up = False
        self.connecting = True
        self.retry_at_ns = back_at_ns
        self.edge = self.mover.next_edge(self.edge) or self._rng.choice(self._edges)
        try:
            await self.sender.disconnect()
        finally:
            self.connecting = False

    async def leave(self) -> None:
        """Go for good, since all is answered; not told as a cut, for it was none."""
        self.wanted_up = False
        self.up = False
        self._mark(up=False, cause="close")
        await self.sender.disconnect()

    async def close(self) -> None:
        """End the sender; what is still open becomes "info", what is still due is never offered."""
        self._next = None
        self.wanted_up = False
        if self.up:
            self._mark(up=False, cause="close")
        self.up = False
        await self.sender.close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            # It is on file as invoked, and no outbox ever took it.
            self._on_outcome(
                Outcome(
                    inbox=waiting.inbox,
                    producer=waiting.producer,
                    n_first=waiting.n_first,
                    count=waiting.count,
                    outcome="fail",
                    attempts=0,
                    error="never handed over",
                )
            )

    def _mark(self, *, up: bool, cause: str) -> None:
        self._recorder.write(
            Connected(
                t_ns=self._clock(),
                process=self._process,
                role="sender",
                name=self.seat.name,
                edge=self.edge,
                up=up,
                cause=cause,
            )
        )
