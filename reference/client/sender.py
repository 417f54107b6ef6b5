"""A producer: an outbox that is sent again until its outcome is known. Pure.

What holds: batches of one inbox are handed over in order of n; what is sent again goes oldest
first and before anything new of its inbox; unanswered bytes stay within the credit that the edge
gave; a time-out sends again on the same connection and doubles; after a gap the sender goes back
to the n that the core expects. The exactly-once idea (dense numbers per producer, the receiver of
them drops what it knows) is Kafka's idempotent producer; the rule when an outcome is definite is
Maelstrom's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

from reference.client.admission import Admission
from reference.client.lane import Lane, Parcel
from reference.client.outcomes import (
    Acknowledged,
    ConnectionLost,
    LineageLost,
    OutboxFull,
    Ready,
    Rejected,
    SenderOutcome,
    SenderOutput,
    Unresolved,
)
from reference.dialer import Dialer, DialSettings
from reference.events import (
    Arriving,
    Closed,
    ConnectFailed,
    Event,
    Malformed,
    Opened,
    Received,
    Tick,
    Written,
)
from reference.pulse import MS_NS, PulseSettings
from reference.reach import Reach
from reference.wire import messages as m
from reference.wire.errors import (
    ERROR_RULES,
    ErrorCode,
    LocalProtocolError,
    RemoteProtocolError,
    Scope,
)
from reference.wire.limits import LOGIN_INBOXES_MAX

PIECE_BYTES: Final = 1024 * 1024
"""About how much a sender hands over as one piece; the rest waits until that was written."""

NEVER_NS: Final = 1 << 62
"""A time that does not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Who sends, and the limits of its outbox.

    `timeout_ms` doubles with each time-out in a row up to `timeout_max_ms`, the pause after a
    refusal from `retry_ms` up to `retry_max_ms`. With `reconnect` a connection that is lost after
    `Ready` is opened again by the machine itself, otherwise the application calls `connect`.

    `fresh_producer` says that no other outbox ever used this producer id. Then an inbox that this
    outbox never sent to needs no question before its first batch, which saves a round trip for
    each inbox. Without that knowledge the question finds out an id that was used before.
    """

    producer: int
    token: str = field(repr=False)
    name: str
    outbox_bytes_max: int = 64 * 1024 * 1024
    outbox_batches_max: int = 65_536
    timeout_ms: int = 2_000
    timeout_max_ms: int = 16_000
    retry_ms: int = 20
    retry_max_ms: int = 1_000
    backoff_ms: int = 50
    backoff_max_ms: int = 1_000
    reconnect: bool = False
    fresh_producer: bool = False
    pulse: PulseSettings = field(default_factory=PulseSettings)


class SenderMachine:
    """One producer and its outbox. `handle` takes the driver's events.

    The application calls `connect`, `disconnect`, `submit` and `abandon`. All of them return
    effects for the driver and outcomes for the application, in order.
    """

    def __init__(self, settings: SenderSettings) -> None:
        self._settings = settings
        dial = DialSettings(
            role="client",
            node=settings.name,
            token=settings.token,
            backoff_ms=settings.backoff_ms,
            backoff_max_ms=settings.backoff_max_ms,
            pulse=settings.pulse,
        )
        self._dialer = Dialer(dial)
        self._admission = Admission()
        self._lanes: dict[str, Lane] = {}
        self._turns: deque[Lane] = deque()
        self._newcomers: dict[str, Lane] = {}
        self._flying: dict[str, Lane] = {}
        self._blocked: dict[str, Lane] = {}
        self._login: dict[str, int] | None = None
        self._logged_in = False
        self._login_not_before_ns = 0
        self._request = 0
        self._credit_bytes = 0
        self._flying_bytes = 0
        self._outbox_bytes = 0
        self._outbox_batches = 0
        self._out: list[SenderOutput] = []
        self._recut_count = 0
        self.lost = False
        """The lineage is lost: nothing is taken or sent any more."""
        self.reach = Reach()
        """Where it counts; whoever drives many lets them share one."""
        self.violation = ""
        """What came that must not come, for which the last connection was ended; "" for nothing."""

    @property
    def ready(self) -> bool:
        """A connection is there and the producer is logged in on it."""
        return self._dialer.ready and self._logged_in

    @property
    def outbox_bytes(self) -> int:
        """Bytes of batches whose outcome is not known."""
        return self._outbox_bytes

    @property
    def outbox_batches(self) -> int:
        """Batches whose outcome is not known."""
        return self._outbox_batches

    @property
    def credit_bytes(self) -> int:
        """How much the edge lets this sender have unanswered; 0 before the first login."""
        return self._credit_bytes

    def n_next(self, inbox: str) -> int:
        """Return the n at which the next batch to `inbox` begins, as far as this outbox knows."""
        lane = self._lanes.get(inbox)
        return lane.n_next if lane is not None else 0

    def ended(self, inbox: str) -> bool:
        """Tell whether nothing can be sent to an inbox under this producer id any more."""
        lane = self._lanes.get(inbox)
        return self.lost or (lane is not None and lane.dead)

    def cut_resends(self, count_max: int) -> None:
        """Cut what a lost connection leaves unanswered anew, into batches of so many at most.

        Ids and content stay, boundaries do not: whoever receives a resend cannot rely on them.
        """
        self._recut_count = count_max

    def connect(self, now_ns: int) -> list[SenderOutput]:
        """Open a connection, trying again until `Ready` or `disconnect`."""
        self.violation = ""
        return [*self._dialer.start(), *self._done(now_ns)]

    def disconnect(self, now_ns: int) -> list[SenderOutput]:
        """Close the connection; the outbox stays."""
        return [*self._dialer.stop(), *self._done(now_ns)]

    def submit(self, segment: m.Segment, now_ns: int) -> list[SenderOutput]:
        """Take a batch whose ids the caller has given, dense per inbox.

        Raises:
            LocalProtocolError: It breaks a named limit or the numbering; nothing was taken, and
                the same n can be given to another batch.
            OutboxFull: There is no room now; nothing was taken.
        """
        self._check(segment)
        lane = self._lanes.get(segment.inbox)
        if lane is None:
            settings = self._settings
            lane = Lane(segment.inbox, segment.n_first, settings.retry_ms, settings.timeout_ms)
            self._lanes[segment.inbox] = lane
        lane.waiting.append(Parcel(segment))
        lane.n_next = segment.n_end
        self._outbox_bytes += segment.size_bytes
        self._outbox_batches += 1
        self._give_turn(lane)
        return self._done(now_ns)

    def abandon(self) -> list[SenderOutcome]:
        """Empty the outbox and return one `Unresolved` per batch: for a sender that closes."""
        left: list[SenderOutcome] = []
        for lane in self._lanes.values():
            for parcel in chain(lane.flying, lane.waiting):
                first, count = _rest(parcel.segment, lane.acked)
                left.append(
                    Unresolved(
                        inbox=lane.inbox,
                        producer=self._settings.producer,
                        n_first=first,
                        count=count,
                        attempts=parcel.attempts,
                    )
                )
        self._lanes.clear()
        self._forget_connection()
        self._newcomers.clear()
        self._outbox_bytes = self._outbox_batches = 0
        return left

    def due_ns(self) -> int:
        """Return when a `Tick` has something to do; earlier ones may be left out."""
        due = self._dialer.due_ns(NEVER_NS)
        for lane in self._blocked.values():
            due = min(due, lane.blocked_until_ns)
        for lane in self._flying.values():
            due = min(due, lane.flying[0].sent_ns + lane.timeout_ms * MS_NS)
        if self._login is None and self._dialer.ready and (self._newcomers or not self._logged_in):
            due = min(due, self._login_not_before_ns)
        return due

    def handle(self, event: Event, now_ns: int) -> list[SenderOutput]:
        """Take one event and return what is to be done and what became known."""
        out = self._out
        match event:
            case Received(message=message):
                try:
                    self._received(message, now_ns)
                except RemoteProtocolError as error:
                    self._refuse(error.code, error.detail)
            case Written():
                self._dialer.outlet.written()
            case Arriving():
                self._dialer.hears_a_part(now_ns)
            case Tick():
                out.extend(self._dialer.tick(now_ns))
                self._tick(now_ns)
            case Opened(conn=conn):
                out.extend(self._dialer.opened(conn, now_ns))
            case ConnectFailed():
                self._dialer.failed(now_ns)
            case Malformed(code=code, detail=detail):
                self._refuse(code, detail)
            case Closed():
                if self._dialer.silent:
                    self.reach["client.silent_edge_left"] += 1
                out.append(ConnectionLost(cause=self._dialer.cause or "the connection ended"))
                self._dialer.failed(now_ns)
                self._forget_connection()
        return self._done(now_ns)

    def _refuse(self, code: ErrorCode, detail: str) -> None:
        self.violation = f"{code.name}: {detail}"
        self._out.extend(self._dialer.refuse(code, detail))

    def _done(self, now_ns: int) -> list[SenderOutput]:
        self._pump(now_ns)
        out = self._out
        self._out = []
        return out

    # What may be submitted.

    def _check(self, segment: m.Segment) -> None:
        if segment.producer != self._settings.producer:
            raise LocalProtocolError(ErrorCode.UNEXPECTED_MESSAGE, "a batch of another producer")
        self._admission.check(segment)
        lane = self._lanes.get(segment.inbox)
        if self.ended(segment.inbox):
            raise LocalProtocolError(
                ErrorCode.PRODUCER_REUSED, "this lineage has ended: take a fresh producer id"
            )
        if segment.n_first < 0 or (lane is not None and segment.n_first != lane.n_next):
            expected = lane.n_next if lane is not None else 0
            raise LocalProtocolError(
                ErrorCode.GAP, f"the batch begins at n {segment.n_first}, expected {expected}"
            )
        if (
            self._outbox_batches >= self._settings.outbox_batches_max
            or self._outbox_bytes + segment.size_bytes > self._settings.outbox_bytes_max
        ):
            self.reach["client.outbox_full"] += 1
            raise OutboxFull(f"{self._outbox_batches} batches, {self._outbox_bytes} bytes wait")

    # What comes in.

    def _received(self, message: m.Message, now_ns: int) -> None:
        if self._dialer.heard(message, now_ns):
            return
        match message:
            case m.Ok(ranges=ok_ranges):
                for ok in ok_ranges:
                    self._acknowledged(ok)
            case m.Refused(ranges=refused_ranges):
                for refused in refused_ranges:
                    self._refused(refused, now_ns)
            case m.Welcome(credit_bytes=credit_bytes):
                self._credit_bytes = credit_bytes
                self._newcomers = {
                    lane.inbox: lane
                    for lane in self._lanes.values()
                    if lane.waiting and not lane.dead
                }
                self._login_not_before_ns = now_ns
            case m.LoginOk(request=request) if request == self._request:
                self._credit_bytes = message.credit_bytes
                self._login_answered(message)
            case m.Error(request=request, code=ErrorCode.FORBIDDEN, detail=detail) if (
                request == self._request
            ):
                self._end_lineage("", -1, 0, ErrorCode.FORBIDDEN, detail)
            case m.Error(request=request, code=code) if request == self._request:
                self._login_failed(code, now_ns)
            case _:
                raise RemoteProtocolError(
                    ErrorCode.UNEXPECTED_MESSAGE, f"{type(message).__name__} came to a sender"
                )

    def _login_failed(self, code: ErrorCode, now_ns: int) -> None:
        """Ask the same again, a little later: the edge could not ask the core yet."""
        self.reach["client.sender_login_asked_again"] += 1
        for inbox in self._login or ():
            self._newcomers[inbox] = self._lanes[inbox]
        self._login = None
        settings = self._settings
        pause_ms = settings.retry_ms if ERROR_RULES[code].retry else settings.retry_max_ms
        self._login_not_before_ns = now_ns + pause_ms * MS_NS

    def _login_answered(self, reply: m.LoginOk) -> None:
        asked = self._login or {}
        if len(reply.durable) != len(asked):
            raise RemoteProtocolError(ErrorCode.BAD_HEADER, "LOGIN_OK answers other inboxes")
        self._login = None
        for (inbox, acked), durable in zip(asked.items(), reply.durable, strict=True):
            lane = self._lanes.get(inbox)
            if lane is None or lane.dead:
                continue
            if durable < 0:
                self._end_lane(lane, ErrorCode.QUARANTINED)
                continue
            if durable < acked:
                self._lose_lineage(lane, durable, "the core forgot acknowledged messages")
                return
            if durable > lane.sent_end:
                self._lose_lineage(lane, durable, "the core has messages that were never sent")
                return
            if durable > lane.acked:
                self.reach["client.outcome_learnt_at_login"] += 1
            self._acknowledge(lane, durable, -1, -1)
            lane.registered = True
            self._give_turn(lane)
        if not self._logged_in:
            self._logged_in = True
            if not self._settings.reconnect:
                self._dialer.give_up()
            self._out.append(Ready())

    def _acknowledged(self, ok: m.OkRange) -> None:
        lane = self._lanes.get(ok.inbox)
        if ok.producer != self._settings.producer or ok.count < 1 or lane is None or lane.dead:
            return
        n_end = ok.n_first + ok.count
        if n_end > lane.sent_end:
            self._lose_lineage(lane, n_end, "an acknowledgement of messages that were never sent")
            return
        if n_end <= lane.acked:
            self.reach["client.answered_twice"] += 1
            return
        if ok.n_first > lane.acked:
            self.reach["client.earlier_answer_lost"] += 1
            # The core numbers densely: what lies before an acknowledged range is stored too.
            self._acknowledge(lane, ok.n_first, -1, -1)
        pos = ok.pos_first + lane.acked - ok.n_first if ok.pos_first >= 0 else -1
        self._acknowledge(lane, n_end, pos, ok.epoch)

    def _acknowledge(self, lane: Lane, n_end: int, pos_first: int, epoch: int) -> None:
        """Report everything below `n_end` that was not acknowledged before."""
        n_first = lane.acked
        if n_end <= n_first:
            return
        count, bytes_all, bytes_flying, attempts = lane.settle(n_end)
        self._outbox_batches -= count
        self._outbox_bytes -= bytes_all
        self._flying_bytes -= bytes_flying
        lane.retry_ms = self._settings.retry_ms
        lane.timeout_ms = self._settings.timeout_ms
        if not lane.flying:
            self._flying.pop(lane.inbox, None)
        self._out.append(
            Acknowledged(
                inbox=lane.inbox,
                producer=self._settings.producer,
                n_first=n_first,
                count=n_end - n_first,
                pos_first=pos_first,
                epoch=epoch,
                attempts=attempts,
            )
        )

    def _refused(self, refused: m.RefusedRange, now_ns: int) -> None:
        lane = self._lanes.get(refused.inbox)
        if refused.producer != self._settings.producer or lane is None or lane.dead:
            return
        rule = ERROR_RULES[refused.code]
        n_end = refused.n_first + refused.count
        if refused.code is ErrorCode.PRODUCER_REUSED:
            self._lose_lineage(lane, n_end, "the core has other content, or forgot the producer")
            return
        if refused.expected > lane.sent_end:
            self._lose_lineage(lane, refused.expected, "the core has messages that were never sent")
            return
        flying = rule.definite and lane.answer(refused.n_first, n_end)
        if n_end <= lane.acked or not flying:
            return
        self.reach[f"client.told_{refused.code.name.lower()}"] += 1
        if not rule.retry and rule.scope is Scope.LINEAGE:
            self._end_lane(lane, refused.code)
            return
        if 0 <= refused.expected < lane.acked:
            # It was overtaken on its way by acknowledgements, or the core does not know any more
            # what it acknowledged: the answer to a login says which.
            lane.registered = False
        back_to = refused.n_first if refused.expected < 0 else min(refused.expected, n_end - 1)
        self._flying_bytes -= lane.rewind(back_to)
        if not lane.flying:
            self._flying.pop(lane.inbox, None)
        lane.blocked_until_ns = now_ns + lane.retry_ms * MS_NS
        lane.retry_ms = min(2 * lane.retry_ms, self._settings.retry_max_ms)
        self._blocked[lane.inbox] = lane

    def _end_lane(self, lane: Lane, code: ErrorCode) -> None:
        """Report every batch of the inbox as refused for good."""
        for parcel in chain(lane.flying, lane.waiting):
            first, count = _rest(parcel.segment, lane.acked)
            self._out.append(
                Rejected(
                    inbox=lane.inbox,
                    producer=self._settings.producer,
                    n_first=first,
                    count=count,
                    code=code,
                    definite=parcel.open_attempts == 0,
                    attempts=parcel.attempts,
                )
            )
            self._outbox_batches -= 1
            self._outbox_bytes -= parcel.segment.size_bytes
        self._flying_bytes -= sum(parcel.segment.size_bytes for parcel in lane.flying)
        lane.flying.clear()
        lane.waiting.clear()
        lane.dead = True
        for table in (self._flying, self._blocked, self._newcomers):
            table.pop(lane.inbox, None)

    def _lose_lineage(self, lane: Lane, durable: int, detail: str) -> None:
        """End everything: whatever this outbox holds may carry ids that belong to others."""
        self._end_lineage(lane.inbox, durable, lane.sent_end, ErrorCode.PRODUCER_REUSED, detail)

    def _end_lineage(
        self, inbox: str, durable: int, sent: int, code: ErrorCode, detail: str
    ) -> None:
        self.lost = True
        self._out.append(
            LineageLost(
                inbox=inbox,
                producer=self._settings.producer,
                durable=durable,
                sent=sent,
                detail=detail,
            )
        )
        for each in self._lanes.values():
            self._end_lane(each, code)
        self._out.extend(self._dialer.stop())

    # What goes out.

    def _give_turn(self, lane: Lane) -> None:
        if self._settings.fresh_producer and self._logged_in and lane.sent_end == 0:
            lane.registered = True
        if not lane.registered:
            self._newcomers[lane.inbox] = lane
        elif lane.waiting and not lane.turn:
            lane.turn = True
            self._turns.append(lane)

    def _tick(self, now_ns: int) -> None:
        for lane in [b for b in self._blocked.values() if now_ns >= b.blocked_until_ns]:
            del self._blocked[lane.inbox]
            self._give_turn(lane)
        late = [
            lane
            for lane in self._flying.values()
            if now_ns - lane.flying[0].sent_ns >= lane.timeout_ms * MS_NS
        ]
        for lane in late:
            self.reach["client.resent_after_timeout"] += 1
            self._flying_bytes -= lane.rewind(-1)
            del self._flying[lane.inbox]
            lane.timeout_ms = min(2 * lane.timeout_ms, self._settings.timeout_max_ms)
            self._give_turn(lane)

    def _pump(self, now_ns: int) -> None:
        """Hand over what the credit allows, unless a piece is under way."""
        dialer = self._dialer
        if not dialer.ready:
            return
        if self._login is None and now_ns >= self._login_not_before_ns:
            self._log_in()
        if not dialer.outlet.under_way:
            self._hand_over(now_ns)
        self._out.extend(dialer.flush())

    def _log_in(self) -> None:
        """Ask for the durable n of the inboxes that were not asked for on this connection."""
        if self._logged_in and not self._newcomers:
            return
        self._login = {
            lane.inbox: lane.acked for lane in islice(self._newcomers.values(), LOGIN_INBOXES_MAX)
        }
        for inbox in self._login:
            del self._newcomers[inbox]
        self._request += 1
        self._dialer.outlet.offer(
            m.Login(self._request, "", -1, 0, self._settings.producer, tuple(self._login))
        )

    def _hand_over(self, now_ns: int) -> None:
        piece_bytes = 0
        turns = self._turns
        while turns and piece_bytes < PIECE_BYTES:
            lane = turns[0]
            if not lane.waiting or lane.inbox in self._blocked or not lane.registered:
                turns.popleft()
                lane.turn = False
                continue
            parcel = lane.waiting[0]
            segment = parcel.segment
            size_bytes = segment.size_bytes
            if self._flying_bytes and self._flying_bytes + size_bytes > self._credit_bytes:
                self.reach["client.credit_used_up"] += 1
                return
            turns.rotate(-1)
            lane.waiting.popleft()
            lane.flying.append(parcel)
            self._flying[lane.inbox] = lane
            self._flying_bytes += size_bytes
            lane.sent_end = max(lane.sent_end, segment.n_end)
            parcel.attempts += 1
            parcel.open_attempts += 1
            parcel.sent_ns = now_ns
            piece_bytes += size_bytes
            self._dialer.outlet.offer(m.Send(segment=segment))

    def _forget_connection(self) -> None:
        """The connection is gone: everything unanswered is to be sent again, oldest first."""
        for lane in self._lanes.values():
            if lane.rewind(-1):
                self.reach["client.connection_lost_amid_batches"] += 1
            if self._recut_count:
                self._outbox_batches += lane.recut(self._recut_count)
            lane.registered = False
            lane.turn = False
        self._flying.clear()
        self._turns.clear()
        self._newcomers.clear()
        self._flying_bytes = 0
        self._login = None
        self._logged_in = False


def _rest(segment: m.Segment, acked: int) -> tuple[int, int]:
    """Return first n and count of what is not acknowledged of a batch."""
    first = max(segment.n_first, acked)
    return first, segment.n_end - first
