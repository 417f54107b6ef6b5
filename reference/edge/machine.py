"""The edge: many clients on one side, few core links on the other. Pure.

It never acknowledges by itself. What it promises: a batch that it took is sent to the core, over
any number of links, until the core has answered it; batches of one (producer, inbox) keep their
order; an answer goes to the connection that last logged in with that producer. What it does not
promise: that it survives. Whatever was unanswered when an edge dies, its clients send again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import xxhash

from reference.dialer import DialSettings
from reference.edge.buffer import memory_bytes
from reference.edge.clients import ClientLine, Session, Stage, cut_window
from reference.edge.door import Door
from reference.edge.settings import (
    CLOSE_WAIT_MS,
    LINK_REQUESTS_MAX,
    USER_PRODUCERS_MAX,
    USER_REQUESTS_MAX,
    USER_SESSIONS_MAX,
    USER_SHARE_BYTES_MIN,
    USER_SHARES,
    USER_WINDOWS_BYTES_MAX,
    WINDOW_BYTES_MIN,
    EdgeSettings,
)
from reference.edge.uplink import NOBODY, Question, Uplink
from reference.events import (
    Arriving,
    Close,
    Closed,
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
from reference.pulse import MS_NS, Pulse, Sign
from reference.reach import Reach, gauges_of
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode, RemoteProtocolError
from reference.wire.limits import (
    DETAIL_CHARS_MAX,
    LOGIN_INBOXES_MAX,
    PRESENCE_USERS_MAX,
    SEGMENTS_MAX,
)


class EdgeMachine:
    """One edge. `handle` takes the driver's events and gives back effects, in order."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        dial = DialSettings(
            role="edge",
            node=settings.name,
            token=settings.token,
            backoff_ms=settings.backoff_ms,
            backoff_max_ms=settings.backoff_max_ms,
            pulse=settings.pulse,
        )
        self._reach = Reach()
        self._links = [Uplink(dial, link, 0, self._reach) for link in range(settings.core_links)]
        self._link_of_conn: dict[int, Uplink] = {}
        self._lines: dict[int, ClientLine] = {}
        self._door = Door(settings)
        self._owner: dict[int, int] = {}
        self._sessions: dict[tuple[str, int], Session] = {}
        self._touched: dict[int, ClientLine] = {}
        self._stirred: dict[int, Uplink] = {}
        self._out: list[Effect] = []
        self._started = False
        # Clients ask first: one question per silence is enough for both ends.
        pulse = settings.pulse
        self._patience = replace(pulse, silence_ms=pulse.silence_ms * 3 // 2)
        self._at_the_door = replace(self._patience, deadline_ms=settings.greeting_ms)
        self.extra_gauges: dict[str, int] = {}
        """Gauges of whoever runs this machine, shown beside its own."""

    def gauges(self) -> dict[str, int]:
        """Return what an observer may want to know, each with its limit where it has one.

        Of outputs and requests it is the fullest one, since each has the limit for itself.
        """
        return {
            # Those that are being refused are over the limit, and on their way out.
            "connections": sum(line.stage is not Stage.CLOSING for line in self._lines.values()),
            "connections_limit": self._settings.connections_max,
            "sessions": len(self._sessions),
            "links_ready": sum(link.dialer.ready for link in self._links),
            "wire_version": min(link.dialer.version for link in self._links),
            "buffer_bytes": self._buffer_bytes(),
            "buffer_bytes_limit": self._settings.buffer_bytes_max,
            "output_bytes": max(
                (
                    line.beyond_windows_bytes
                    for line in self._lines.values()
                    if line.stage is not Stage.CLOSING
                ),
                default=0,
            ),
            "output_bytes_limit": self._settings.client_output_bytes_max,
            "requests": max(link.questions for link in self._links),
            "requests_limit": LINK_REQUESTS_MAX,
            **gauges_of(self._reach),
            **self.extra_gauges,
        }

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take one event and return what is to be done. The first one also dials the core."""
        if not self._started:
            self._started = True
            for link in self._links:
                link.lost_ns = now_ns
                self._out.extend(link.dialer.start())
        match event:
            case Received(conn=conn, message=message):
                line = self._lines.get(conn)
                if line is not None:
                    self._from_client(line, message, now_ns)
                elif (uplink := self._link_of_conn.get(conn)) is not None:
                    self._from_core(uplink, message, now_ns)
            case Written(conn=conn):
                self._written(conn)
            case Tick():
                self._tick(now_ns)
            case Opened(conn=conn, link=index) if index >= 0:
                opened = self._links[index]
                self._link_of_conn[conn] = opened
                self._out.extend(opened.dialer.opened(conn, now_ns))
            case Opened(conn=conn, address=address):
                self._accepted(conn, address, now_ns)
            case ConnectFailed(link=index):
                self._links[index].dialer.failed(now_ns)
            case Arriving(conn=conn):
                self._arriving(conn, now_ns)
            case Malformed(conn=conn, code=code, detail=detail):
                self._malformed(conn, code, detail, now_ns)
            case Closed(conn=conn):
                self._closed(conn, now_ns)
        return self._flush(now_ns)

    def _flush(self, now_ns: int) -> list[Effect]:
        for link in self._stirred.values():
            self._out.extend(link.pump())
        self._stirred.clear()
        limit_bytes = self._settings.client_output_bytes_max
        while self._touched:
            _, line = self._touched.popitem()
            if line.stage is Stage.CLOSED:
                continue
            messages = line.outlet.take()
            if messages:
                self._out.append(Transmit(conn=line.conn, messages=messages))
            if line.stage is Stage.CLOSING:
                self._try_close(line)
            elif line.beyond_windows_bytes > limit_bytes:
                self._reach["edge.slow_consumer"] += 1
                self._end_line(line, ErrorCode.SLOW_CONSUMER, "the output is at its limit", now_ns)
        out = self._out
        self._out = []
        return out

    # Connections.

    def _accepted(self, conn: int, address: str, now_ns: int) -> None:
        line = ClientLine(conn, Pulse(self._at_the_door, now_ns), address)
        open_count = sum(one.stage is not Stage.CLOSING for one in self._lines.values())
        self._lines[conn] = line
        out = self._door.knock(line, full=open_count >= self._settings.connections_max)
        if out is not None:
            self._reach["edge.door_full"] += 1
            self._end_line(*out, now_ns)

    def _malformed(self, conn: int, code: ErrorCode, detail: str, now_ns: int) -> None:
        line = self._lines.get(conn)
        if line is not None:
            self._end_line(line, code, detail, now_ns)
        elif (link := self._link_of_conn.get(conn)) is not None:
            self._out.extend(link.dialer.refuse(code, detail))

    def _written(self, conn: int) -> None:
        line = self._lines.get(conn)
        if line is not None:
            line.outlet.written()
            self._touched[conn] = line
        elif (link := self._link_of_conn.get(conn)) is not None:
            link.dialer.outlet.written()
            self._stir(link)

    def _closed(self, conn: int, now_ns: int) -> None:
        line = self._lines.pop(conn, None)
        if line is not None:
            self._release(line)
            line.stage = Stage.CLOSED
            return
        link = self._link_of_conn.pop(conn, None)
        if link is None:
            return
        if link.dialer.silent:
            self._reach["edge.silent_core_left"] += 1
        for question in link.lost(now_ns):
            self._reach["edge.question_lost"] += 1
            self._unanswered(question)

    def _unanswered(self, question: Question) -> None:
        self._settle(question, opened=False)
        self._offer_to(
            question.conn, m.Error(question.request, ErrorCode.NOT_READY, "the core link was lost")
        )

    def _end_line(self, line: ClientLine, code: ErrorCode, detail: str, now_ns: int) -> None:
        """Tell a client why, and close its connection as soon as that was written."""
        if line.stage in (Stage.CLOSING, Stage.CLOSED):
            return
        self._release(line)
        line.cause = f"{code.name}: {detail[:DETAIL_CHARS_MAX]}"
        line.close_at_ns = now_ns + CLOSE_WAIT_MS * MS_NS
        self._offer(line, m.Error(-1, code, detail[:DETAIL_CHARS_MAX]))
        line.stage = Stage.CLOSING

    def _try_close(self, line: ClientLine, *, now: bool = False) -> None:
        """Close once the rest is with the driver, which closes after what was transmitted."""
        if now or line.outlet.waiting_bytes == 0:
            line.stage = Stage.CLOSED
            self._out.append(Close(conn=line.conn, reason=line.cause if now else ""))

    def _release(self, line: ClientLine) -> None:
        """Log a connection's sessions out and forget that it speaks for its producers."""
        self._door.leave(line)
        for producer in line.producers:
            if self._owner.get(producer) == line.conn:
                del self._owner[producer]
        line.producers = set()
        for key in line.sessions:
            session = self._sessions.pop(key)
            self._log_out(session.inbox, session.number)
        line.sessions = set()
        line.window_bytes = 0

    def _log_out(self, inbox: str, number: int) -> None:
        link = self._link_for(inbox)
        if link.dialer.ready:
            link.dialer.outlet.offer(m.Logout(NOBODY, inbox, number))
            self._stir(link)

    def _tick(self, now_ns: int) -> None:
        for link in self._links:
            self._out.extend(link.dialer.tick(now_ns))
            self._stir(link)
        for line in list(self._lines.values()):
            if line.stage is Stage.CLOSING:
                if now_ns >= line.close_at_ns:
                    self._try_close(line, now=True)
                continue
            if line.stage is Stage.CLOSED:
                continue
            match line.pulse.look(now_ns):
                case Sign.ASK if line.stage is Stage.OPEN:
                    self._offer(line, m.Heartbeat(line.pulse.nonce))
                case Sign.DEAD if line.stage is Stage.GREETING:
                    self._end_line(line, ErrorCode.HELLO_EXPECTED, "not said in time", now_ns)
                case Sign.DEAD:
                    self._reach["edge.client_silent"] += 1
                    detail = "nothing was heard within the deadline"
                    self._end_line(line, ErrorCode.HEARTBEAT_MISSED, detail, now_ns)
        self._door.sweep()

    def _arriving(self, conn: int, now_ns: int) -> None:
        line = self._lines.get(conn)
        if line is not None and line.stage is Stage.OPEN:
            line.pulse.arriving_ns = now_ns
        elif (uplink := self._link_of_conn.get(conn)) is not None:
            uplink.dialer.hears_a_part(now_ns)

    # What clients say.

    def _from_client(self, line: ClientLine, message: m.Message, now_ns: int) -> None:
        line.pulse.heard_ns = now_ns
        if line.stage is Stage.GREETING:
            self._greet(line, message, now_ns)
            return
        if line.stage is not Stage.OPEN:
            return
        match message:
            case m.Heartbeat(nonce=nonce):
                self._offer(line, m.HeartbeatOk(nonce))
            case m.HeartbeatOk() | m.Error():
                pass
            case m.BatchSend(segments=segments) if line.role == "client":
                self._take_segments(line, segments, now_ns)
            case m.Send(segment=segment) if line.role == "client":
                self._take_segments(line, (segment,), now_ns)
            case m.CursorAck(marks=marks) if line.role == "client":
                self._take_cursors(line, marks)
            case m.Login() if line.role == "client":
                self._take_login(line, message, now_ns)
            case m.Logout() if line.role == "client":
                self._take_logout(line, message)
            case m.End() if line.role == "client":
                self._take_end(line, message)
            case m.Presence(request=request, users=users) if len(users) > PRESENCE_USERS_MAX:
                detail = f"at most {PRESENCE_USERS_MAX} users"
                self._offer(line, m.Error(request, ErrorCode.TOO_LARGE, detail))
            case m.Presence(request=request, users=users):
                link = self._links[0]
                number = self._ask(link, line, request)
                if number >= 0:
                    link.dialer.outlet.offer(m.Presence(number, users))
            case m.Inspect(request=request, inbox="") if line.role == "admin":
                self._offer(line, m.InspectOk(request, "", (), (), False, self.gauges()))
            case _:
                detail = f"{type(message).__name__} from role {line.role}"
                self._end_line(line, ErrorCode.UNEXPECTED_MESSAGE, detail, now_ns)

    def _greet(self, line: ClientLine, message: m.Message, now_ns: int) -> None:
        settings = self._settings
        if not isinstance(message, m.Hello):
            self._end_line(line, ErrorCode.HELLO_EXPECTED, "say HELLO first", now_ns)
            return
        version = versions.agreed(message)
        if version is None:
            self._end_line(line, ErrorCode.VERSION_MISMATCH, versions.refusal(message), now_ns)
            return
        if refusal := self._door.enter(line, message):
            self._reach["edge.refused_at_the_door"] += 1
            self._end_line(line, *refusal, now_ns)
            return
        line.version = version
        line.pulse = Pulse(self._patience, now_ns)
        line.stage = Stage.OPEN
        self._offer(line, m.Welcome(version, settings.name, settings.client_credit_bytes))

    def _take_segments(self, line: ClientLine, segments: Iterable[m.Segment], now_ns: int) -> None:
        for segment in segments:
            producer = segment.producer
            if producer in line.producers:
                # The login of an older connection can come behind that of a newer one. When the
                # older one has ended nobody speaks for the producer, and this connection may.
                self._owner.setdefault(producer, line.conn)
            if self._owner.get(producer) != line.conn:
                if producer in line.producers:
                    # A newer connection speaks for this producer: the older frame is dropped.
                    self._reach["edge.batch_of_an_older_connection"] += 1
                    continue
                detail = f"producer {producer} is not logged in on this connection"
                self._end_line(line, ErrorCode.UNEXPECTED_MESSAGE, detail, now_ns)
                return
            link = self._link_for(segment.inbox)
            code = self._room_for(line, link, segment, now_ns)
            if code is None:
                link.buffer.add(segment, line.user.holds)
                self._stir(link)
                continue
            refused = m.RefusedRange(
                segment.inbox, producer, segment.n_first, segment.count, code, -1
            )
            self._offer(line, m.Refused((refused,)))

    def _room_for(
        self, line: ClientLine, link: Uplink, segment: m.Segment, now_ns: int
    ) -> ErrorCode | None:
        """Return why a batch cannot be taken now, or None."""
        held_ns = now_ns - link.lost_ns
        if not link.dialer.ready and held_ns >= self._settings.hold_ms * MS_NS:
            self._reach["edge.core_away_for_long"] += 1
            return ErrorCode.NOT_READY
        settings = self._settings
        holds = line.user.holds
        cost_bytes = memory_bytes(segment)
        if self._buffer_bytes() + cost_bytes > settings.buffer_bytes_max:
            self._reach["edge.buffer_full"] += 1
            return ErrorCode.BUSY
        # One batch always may: a single one above the credit travels alone.
        if holds.size_bytes and (
            holds.size_bytes + segment.size_bytes > settings.client_credit_bytes
            or holds.memory_bytes + cost_bytes
            > max(settings.buffer_bytes_max // USER_SHARES, USER_SHARE_BYTES_MIN)
        ):
            self._reach["edge.client_over_its_share"] += 1
            return ErrorCode.BUSY
        return None

    def _take_cursors(self, line: ClientLine, marks: Iterable[m.CursorMark]) -> None:
        for mark in marks:
            session = self._sessions.get((mark.inbox, mark.session))
            if session is None or session.conn != line.conn:
                self._reach["edge.cursor_of_an_ended_session"] += 1
                self._offer(line, m.Superseded((mark,), ErrorCode.UNKNOWN_SESSION))
                continue
            if mark.upto > session.received_pos:
                # The core would say the same; here it is known earlier.
                self._end_session(session, mark, ErrorCode.ACK_BEYOND_DELIVERED)
                continue
            session.acked_pos = max(session.acked_pos, mark.upto)
            session.window.acknowledged(mark.upto)
            link = self._link_for(mark.inbox)
            if link.dialer.ready:
                link.dialer.outlet.offer(m.CursorAck((mark,)))
                self._stir(link)

    def _end_session(self, session: Session, mark: m.CursorMark, code: ErrorCode) -> None:
        line = self._drop_session(session)
        self._log_out(session.inbox, session.number)
        if line is not None:
            self._offer(line, m.Superseded((mark,), code))

    def _take_login(self, line: ClientLine, login: m.Login, now_ns: int) -> None:
        if len(login.inboxes) > LOGIN_INBOXES_MAX:
            detail = f"a login names at most {LOGIN_INBOXES_MAX} inboxes"
            self._end_line(line, ErrorCode.TOO_LARGE, detail, now_ns)
            return
        if refusal := _refusal(line, login):
            self._reach["edge.login_over_quota"] += 1
            self._offer(line, m.Error(login.request, *refusal))
            return
        if login.producer >= 0:
            # From here on frames of an older connection of this producer are dropped, so that
            # none of them comes behind what this login's reply makes the client send again.
            self._owner[login.producer] = line.conn
            line.producers.add(login.producer)
        window_bytes = cut_window(login.window_bytes)
        if login.inbox:
            window_bytes = min(window_bytes, USER_WINDOWS_BYTES_MAX - line.user.window_bytes)
            if window_bytes < WINDOW_BYTES_MIN:
                detail = "the windows of a user are at their limit"
                self._offer(line, m.Error(login.request, ErrorCode.QUOTA, detail))
                return
        link = self._link_for(login.inbox)
        number = self._ask(link, line, login.request, login.inbox, window_bytes)
        if number >= 0:
            link.dialer.outlet.offer(
                m.Login(
                    number, login.inbox, login.from_pos, window_bytes, login.producer, login.inboxes
                )
            )

    def _take_end(self, line: ClientLine, end: m.End) -> None:
        if refusal := _may_not_read(line, end.inbox):
            self._offer(line, m.Error(end.request, *refusal))
            return
        link = self._link_for(end.inbox)
        number = self._ask(link, line, end.request)
        if number >= 0:
            link.dialer.outlet.offer(m.End(number, end.inbox))

    def _take_logout(self, line: ClientLine, logout: m.Logout) -> None:
        session = self._sessions.get((logout.inbox, logout.session))
        if session is None or session.conn != line.conn:
            self._offer(
                line, m.Error(logout.request, ErrorCode.UNKNOWN_SESSION, "no such session here")
            )
            return
        self._drop_session(session)
        link = self._link_for(logout.inbox)
        number = self._ask(link, line, logout.request)
        if number >= 0:
            link.dialer.outlet.offer(m.Logout(number, logout.inbox, logout.session))

    def _ask(
        self, link: Uplink, line: ClientLine, request: int, inbox: str = "", window_bytes: int = 0
    ) -> int:
        """Return the number under which a client's question goes to the core, or -1: refused."""
        if not link.dialer.ready:
            self._reach["edge.question_without_core"] += 1
            self._offer(line, m.Error(request, ErrorCode.NOT_READY, "no link to the core"))
            return -1
        if line.user.requests >= USER_REQUESTS_MAX:
            self._offer(line, m.Error(request, ErrorCode.BUSY, "too many requests are unanswered"))
            return -1
        number = link.ask(
            Question(
                user=line.user,
                conn=line.conn,
                request=request,
                inbox=inbox,
                window_bytes=window_bytes,
            )
        )
        if number < 0:
            self._offer(line, m.Error(request, ErrorCode.BUSY, "too many requests are unanswered"))
            return -1
        line.user.requests += 1
        if inbox:
            line.logins += 1
            line.window_bytes += window_bytes
        self._stir(link)
        return number

    # What the core says.

    def _from_core(self, link: Uplink, message: m.Message, now_ns: int) -> None:
        self._stir(link)
        try:
            if link.dialer.heard(message, now_ns):
                return
            self._relay(link, message)
        except RemoteProtocolError as error:
            self._out.extend(link.dialer.refuse(error.code, error.detail))

    def _relay(self, link: Uplink, message: m.Message) -> None:
        match message:
            case m.Ok(ranges=ok_ranges):
                for ok in ok_ranges:
                    link.buffer.acknowledged(ok)
                    self._offer_to(self._owner.get(ok.producer, NOBODY), m.Ok((ok,)))
            case m.Deliver(deliveries=deliveries):
                for delivery in deliveries:
                    self._deliver(delivery)
            case m.CursorOk(marks=marks):
                for mark in marks:
                    session = self._sessions.get((mark.inbox, mark.session))
                    if session is not None:
                        session.confirmed_pos = max(session.confirmed_pos, mark.upto)
                        self._offer_to(session.conn, m.CursorOk((mark,)))
            case m.Refused(ranges=refused_ranges):
                for refused in refused_ranges:
                    if link.buffer.refused(refused):
                        self._offer_to(
                            self._owner.get(refused.producer, NOBODY), m.Refused((refused,))
                        )
            case m.LoginOk():
                self._login_answered(link, message)
            case m.LogoutOk(request=request) if request == NOBODY:
                pass
            case m.LogoutOk(request=request) | m.EndOk(request=request):
                self._answer(link, request, message)
            case m.PresenceOk(request=request):
                self._answer(link, request, message)
            case m.Error(request=request):
                if request != NOBODY:
                    self._answer(link, request, message)
            case m.Superseded(marks=marks, code=code):
                for mark in marks:
                    self._superseded(mark, code)
            case m.Welcome():
                self._register(link)
            case _:
                raise RemoteProtocolError(
                    ErrorCode.UNEXPECTED_MESSAGE, f"{type(message).__name__} came to an edge"
                )

    def _answer(
        self,
        link: Uplink,
        request: int,
        message: m.LogoutOk | m.EndOk | m.PresenceOk | m.Error,
    ) -> None:
        question = link.answered(request)
        if question is None:
            return
        self._settle(question, opened=False)
        line = self._lines.get(question.conn)
        if line is None:
            return
        match message:
            case m.LogoutOk():
                self._offer(line, m.LogoutOk(question.request))
            case m.EndOk(inbox=inbox, pos=pos):
                self._offer(line, m.EndOk(question.request, inbox, pos))
            case m.PresenceOk(entries=entries):
                self._offer(line, m.PresenceOk(question.request, entries))
            case m.Error(code=code, detail=detail):
                self._offer(line, m.Error(question.request, code, detail))

    def _settle(self, question: Question, *, opened: bool) -> None:
        """A question has an answer; the window of a login that opened nothing is free again."""
        question.user.requests -= 1
        line = self._lines.get(question.conn)
        if question.inbox and line is not None:
            line.logins -= 1
            if not opened and line.stage is Stage.OPEN:
                line.window_bytes -= question.window_bytes

    def _login_answered(self, link: Uplink, reply: m.LoginOk) -> None:
        question = link.answered(reply.request)
        if question is None:
            return
        self._settle(question, opened=reply.session >= 0)
        line = self._lines.get(question.conn)
        if line is None or line.stage is not Stage.OPEN:
            self._reach["edge.login_of_a_client_gone"] += 1
            if reply.session >= 0:
                self._log_out(question.inbox, reply.session)
            return
        if reply.session >= 0:
            session = Session(
                conn=line.conn,
                inbox=question.inbox,
                number=reply.session,
                next_pos=reply.next_pos,
                window_bytes=question.window_bytes,
            )
            key = (session.inbox, session.number)
            self._sessions[key] = session
            line.sessions.add(key)
        self._offer(
            line,
            m.LoginOk(
                question.request,
                reply.session,
                reply.cursor,
                reply.next_pos,
                reply.durable,
                self._settings.client_credit_bytes,
            ),
        )

    def _deliver(self, delivery: m.Delivery) -> None:
        session = self._sessions.get((delivery.inbox, delivery.session))
        if session is None:
            self._reach["edge.delivery_of_an_ended_session"] += 1
            return
        session.received_pos = delivery.pos_first + delivery.count - 1
        session.window.sent(delivery.pos_first, delivery.lengths, delivery.size_bytes)
        self._offer_to(session.conn, m.Deliver(deliveries=(delivery,)))

    def _superseded(self, mark: m.CursorMark, code: ErrorCode) -> None:
        session = self._sessions.get((mark.inbox, mark.session))
        if session is None:
            return
        line = self._drop_session(session)
        if line is not None:
            self._offer(line, m.Superseded((mark,), code))

    def _drop_session(self, session: Session) -> ClientLine | None:
        key = (session.inbox, session.number)
        self._sessions.pop(key, None)
        line = self._lines.get(session.conn)
        if line is not None and key in line.sessions:
            line.sessions.discard(key)
            line.window_bytes -= session.window.limit_bytes
        return line

    def _register(self, link: Uplink) -> None:
        """Tell the core of a new link which sessions are here, before anything else goes out."""
        link.welcomed()
        mine = [s for s in self._sessions.values() if self._link_for(s.inbox) is link]
        if mine:
            self._reach["edge.sessions_registered_again"] += 1
        for at in range(0, len(mine), SEGMENTS_MAX):
            marks = tuple(
                m.ResumeMark(
                    s.inbox,
                    s.number,
                    s.received_pos,
                    s.acked_pos,
                    s.window.limit_bytes,
                    s.window.in_flight_bytes,
                )
                for s in mine[at : at + SEGMENTS_MAX]
            )
            link.dialer.outlet.offer(m.Resume(marks))
        for s in mine:
            if s.acked_pos > s.confirmed_pos:
                self._reach["edge.cursor_told_again"] += 1
                mark = m.CursorMark(s.inbox, s.number, s.acked_pos)
                link.dialer.outlet.offer(m.CursorAck((mark,)))

    # Small things.

    def _link_for(self, inbox: str) -> Uplink:
        if len(self._links) == 1:
            return self._links[0]
        return self._links[xxhash.xxh3_64_intdigest(inbox.encode()) % len(self._links)]

    def _buffer_bytes(self) -> int:
        return sum(link.buffer.size_bytes for link in self._links)

    def _stir(self, link: Uplink) -> None:
        self._stirred[id(link)] = link

    def _offer_to(self, conn: int, message: m.Message) -> None:
        line = self._lines.get(conn)
        if line is not None:
            self._offer(line, message)

    def _offer(self, line: ClientLine, message: m.Message) -> None:
        """Let a message wait for its turn; behind an error that ends a connection comes nothing."""
        if line.stage in (Stage.GREETING, Stage.OPEN):
            line.outlet.offer(versions.in_version(message, line.version))
            self._touched[line.conn] = line


def _refusal(line: ClientLine, login: m.Login) -> tuple[ErrorCode, str] | None:
    """Return why a client may not log in so, or None."""
    if login.inbox and (refusal := _may_not_read(line, login.inbox)):
        return refusal
    claims, user = line.claims, line.user
    if login.producer >= 0 and not claims.may_send_as(login.producer):
        detail = f"user {claims.name!r} may not send as producer {login.producer}"
        return ErrorCode.FORBIDDEN, detail
    if user.producers >= USER_PRODUCERS_MAX or user.sessions >= USER_SESSIONS_MAX:
        return ErrorCode.QUOTA, "too many producers or sessions of one user"
    return None


def _may_not_read(line: ClientLine, inbox: str) -> tuple[ErrorCode, str] | None:
    """Return why a client may not know what is in an inbox, or None."""
    if line.claims.may_read(inbox):
        return None
    return ErrorCode.FORBIDDEN, f"user {line.claims.name!r} may not read inbox {inbox!r}"
