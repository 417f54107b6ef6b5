"""The core machine: one entrance, and who answers what.

It reveals nothing of a commit before `Committed`: acknowledgements, duplicates of what is being
committed, session numbers, cursors, epochs and deliveries all wait for it. Everything that a reply
shows at once (end, durable counts, inspections) is the durable state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from reference.core import presence
from reference.core.delivery import Deliverer, Session
from reference.core.heat import Heat, HeatSettings
from reference.core.links import Link, Role
from reference.core.sequencing import Group, LoginWait, Sequencer, name_is_good
from reference.core.settings import NODE_NAME_BYTES_MAX, CoreSettings, Retention
from reference.doorstep import find_oldest
from reference.events import (
    Arriving,
    Closed,
    CommitRefused,
    Committed,
    ConnectFailed,
    Effect,
    Event,
    LogDamaged,
    LogRead,
    Malformed,
    Opened,
    ReadRows,
    Received,
    Recovered,
    RowsRead,
    Tick,
    Written,
)
from reference.identity import verify
from reference.outlet import OUTLET_BYTES_MAX
from reference.pulse import MS_NS, Pulse, PulseSettings, Sign
from reference.reach import Reach, gauges_of
from reference.wire import messages as m
from reference.wire import versions
from reference.wire.errors import ErrorCode
from reference.wire.limits import DETAIL_CHARS_MAX, LOGIN_INBOXES_MAX, PRESENCE_USERS_MAX

T = TypeVar("T")


class CoreMachine:
    """The core. `handle` takes an event and returns what is to be done, in order."""

    def __init__(self, settings: CoreSettings, recovered: Recovered) -> None:
        """Start from what a store recovered."""
        self._settings = settings
        self._reach = Reach()
        self._sequencer = Sequencer(settings, recovered, self._reach)
        self._deliverer = Deliverer(settings.tail_cache_bytes_max, self._reach)
        self._reach["core.recovered" if recovered.inboxes else "core.began_empty"] += 1
        for inbox in self._sequencer.inboxes.values():
            self._deliverer.presume_sent(inbox)
        self._links: dict[int, Link] = {}
        self._touched: dict[int, Link] = {}
        self._effects: list[Effect] = []
        self._now_ns = 0
        self._ended: dict[str, int] = {}
        self._parked: dict[tuple[str, int], tuple[Link, m.CursorMark]] = {}
        """By inbox and session the last cursor mark that can be judged only later."""
        self._parked_until_ns = 0
        self._damaged_reads = 0
        self._heat: Heat | None = None
        self._rows_no = 0
        self._inspecting: dict[int, tuple[Link, m.Inspect]] = {}
        self.extra_gauges: dict[str, int] = {}
        """Gauges of whoever runs this machine (its store, its clock), shown beside its own."""

    @property
    def idle(self) -> bool:
        """Nothing is being committed or waits for it."""
        return self._sequencer.idle

    def gauges(self) -> dict[str, int]:
        """Return the numbers that INSPECT shows: what the named limits bound.

        Of outlets and windows it is the fullest one, since each has the limit for itself.
        """
        outlets = [link.outlet.pending_bytes for link in self._links.values() if not link.failed]
        windows = [one.window.in_flight_bytes for one in self._deliverer.active.values()]
        return {
            "connections": len(self._links),
            "sessions": len(self._deliverer.active),
            "inboxes": len(self._sequencer.inboxes),
            "inboxes_limit": self._settings.inboxes_max,
            "producers": len(self._sequencer.lineages),
            "producers_limit": self._settings.producers_max,
            "pending_bytes": self._sequencer.pending_bytes,
            "pending_bytes_limit": self._settings.pending_bytes_max,
            "tail_cache_bytes": self._deliverer.tail.size_bytes,
            "tail_cache_bytes_limit": self._settings.tail_cache_bytes_max,
            "outlet_bytes": max(outlets, default=0),
            "outlet_bytes_limit": OUTLET_BYTES_MAX,
            "window_bytes": max(windows, default=0),
            "window_bytes_limit": self._settings.window_bytes_max,
            "commits": self._sequencer.commits,
            "damaged_reads": self._damaged_reads,
            "quarantined_inboxes": len(self._sequencer.quarantined),
            **self._heat_gauges(),
            **gauges_of(self._reach),
            **self.extra_gauges,
        }

    def _heat_gauges(self) -> dict[str, int]:
        if self._heat is None:
            return {}
        hottest = self._heat.hottest()
        return {
            "measured_inboxes": self._heat.measured,
            "hottest_writes_per_s": hottest[0].writes_per_s if hottest else 0,
            "rule_promotions": self._heat.promotions,
            "rule_demotions": self._heat.demotions,
        }

    def handle(self, event: Event, now_ns: int) -> list[Effect]:
        """Take one event and return the effects it has."""
        self._now_ns = now_ns
        self._effects = []
        match event:
            case Received(conn=conn, message=message):
                self._received(self._links.get(conn), message)
            case Written(conn=conn):
                self._written(conn)
            case Committed(commit_no=commit_no):
                self._committed(commit_no)
            case LogRead(read_no=read_no, log=log):
                self._damaged(self._deliverer.log_read(read_no, log))
            case LogDamaged(read_no=read_no):
                self._damaged(self._deliverer.log_read(read_no, None))
            case Tick():
                self._tick()
            case Opened(conn=conn, address=address):
                self._opened(conn, address)
            case Closed(conn=conn):
                self._closed(conn)
            case Arriving(conn=conn):
                link = self._links.get(conn)
                # A greeting has to be whole within the deadline, and small as it is, it can be.
                if link is not None and link.role is not Role.NEW:
                    link.pulse.arriving_ns = now_ns
            case Malformed(conn=conn, code=code, detail=detail):
                self._fail(self._links.get(conn), code, detail)
            case CommitRefused(commit_no=commit_no):
                self._refused(commit_no)
            case RowsRead():
                self._rows_read(event)
            case ConnectFailed():
                raise ValueError("a core opens no connections")
        return self._drain()

    def _drain(self) -> list[Effect]:
        """Return what became due: the commit first, so that the disk works while links write."""
        effects: list[Effect] = []
        if commit := self._sequencer.seal():
            effects.append(commit)
        effects += self._deliverer.reads
        self._deliverer.reads = []
        effects += self._effects
        while self._touched:
            _, link = self._touched.popitem()
            if not link.failed and link.outlet.overfull:
                self._reach["core.slow_consumer"] += 1
                self._fail(link, ErrorCode.SLOW_CONSUMER, "the output buffer is full")
                effects += link.flush() or link.abandon()
            effects += link.flush()
        return effects

    def _touch(self, link: Link) -> None:
        self._touched[link.conn] = link

    # Connections ------------------------------------------------------------------------------

    def _opened(self, conn: int, address: str) -> None:
        settings = self._settings
        link = Link(conn, self._pulse(settings.greeting_ms), self._touch, address)
        taken = sum(not one.failed for one in self._links.values())
        full = taken >= settings.connections_max
        oldest = find_oldest(
            [one for one in self._links.values() if one.role is Role.NEW and not one.failed],
            address,
            full=full,
            silent_max=settings.greetings_max,
            address_max=settings.address_greetings_max,
        )
        self._links[conn] = link
        if oldest is not None:
            self._fail(oldest, ErrorCode.HELLO_EXPECTED, "others wait who may say it")
        elif full:
            self._reach["core.too_many_connections"] += 1
            self._fail(link, ErrorCode.BUSY, "too many connections")

    def _pulse(self, deadline_ms: int) -> Pulse:
        silence_ms = self._settings.heartbeat_interval_ms
        settings = PulseSettings(silence_ms=silence_ms, deadline_ms=deadline_ms)
        return Pulse(settings, self._now_ns)

    def _closed(self, conn: int) -> None:
        link = self._links.pop(conn, None)
        if link is not None:
            presence.link_lost(self._deliverer, link)
            link.failed = link.close_sent = True
            self._touched.pop(conn, None)

    def _fail(self, link: Link | None, code: ErrorCode, detail: str) -> None:
        if link is not None and not link.failed:
            presence.link_lost(self._deliverer, link)
            link.fail(code, detail, self._now_ns)

    def _written(self, conn: int) -> None:
        link = self._links.get(conn)
        if link is None:
            return
        link.outlet.written()
        self._touch(link)
        if not link.failed:
            self._deliverer.written(link)

    def _tick(self) -> None:
        now = self._now_ns
        settings = self._settings
        for link in list(self._links.values()):
            if link.failed:
                if now - link.failed_ns >= settings.heartbeat_deadline_ms * MS_NS:
                    self._effects += link.abandon()
                continue
            match link.pulse.look(now):
                case Sign.DEAD if link.role is Role.NEW:
                    self._fail(link, ErrorCode.HELLO_EXPECTED, "not said in time")
                    self._effects += link.flush() or link.abandon()
                case Sign.DEAD:
                    self._reach["core.link_silent"] += 1
                    silent_ms = (now - link.pulse.heard_ns) // MS_NS
                    self._fail(link, ErrorCode.HEARTBEAT_MISSED, f"silent for {silent_ms} ms")
                    self._effects += link.flush() or link.abandon()
                case Sign.ASK if link.role is Role.EDGE:
                    link.offer(m.Heartbeat(link.pulse.nonce))
                case _:
                    pass
        if self._parked and now >= self._parked_until_ns:
            parked, self._parked = self._parked, {}
            for link, mark in parked.values():
                # Somebody else may have logged in meanwhile, who has not read so far.
                self._cursors(link, (mark,))
        self._look_at_heat()
        if self._sequencer.full and self._sequencer.idle and now >= self._parked_until_ns:
            # Nothing else waits for room, so messages try whether there is some.
            self._sequencer.full = False

    def _look_at_heat(self) -> None:
        """Work the rates out, and begin the epochs that the rule wants."""
        settings, sequencer = self._settings, self._sequencer
        if self._heat is None:
            count = settings.hot_bucket_count
            rule = HeatSettings(
                hot_writes_per_s=settings.hot_writes_per_s,
                cool_writes_per_s=settings.cool_writes_per_s,
                hold_ms=settings.hot_hold_ms,
                bucket_count=count,
                window_ms=settings.hot_window_ms,
            )
            promoted = [
                n for n, i in sequencer.inboxes.items() if i.epochs[-1].bucket_count == count
            ]
            self._heat = Heat(rule, promoted, self._now_ns)
        if sequencer.full:
            # It takes no messages, and would refuse the change.
            return
        for change in self._heat.look(self._now_ns, sequencer.count_in_force):
            sequencer.begin_epoch(change.inbox, change.bucket_count)

    def _hot_list(self) -> tuple[m.HotEntry, ...]:
        """Return the hottest inboxes with what is durable of their epochs."""
        found = []
        for hot in self._heat.hottest() if self._heat is not None else ():
            inbox = self._sequencer.inboxes.get(hot.inbox)
            if inbox is not None:
                last = inbox.epochs[inbox.epochs_durable - 1]
                found.append(m.HotEntry(hot.inbox, hot.writes_per_s, last.epoch, last.bucket_count))
        return tuple(found)

    # Messages ---------------------------------------------------------------------------------

    def _received(self, link: Link | None, message: m.Message) -> None:
        if link is None or link.failed:
            return
        link.pulse.heard_ns = self._now_ns
        if link.role is Role.NEW:
            self._hello(link, message)
            return
        match message:
            case m.BatchSend(segments=segments) if link.role is Role.EDGE:
                self._append(link, segments)
            case m.Send(segment=segment) if link.role is Role.EDGE:
                self._append(link, (segment,))
            case m.CursorAck(marks=marks) if link.role is Role.EDGE:
                self._cursors(link, marks)
            case m.Login() if link.role is Role.EDGE:
                self._login(link, message)
            case m.Logout() if link.role is Role.EDGE:
                self._logout(link, message)
            case m.Resume(marks=marks) if link.role is Role.EDGE:
                self._resume(link, marks)
            case m.Promote() if link.role is Role.ADMIN:
                if error := self._sequencer.promote(link, message):
                    link.offer(error)
            case m.Inspect(request=request, inbox=name) if (
                link.role is Role.ADMIN and name and self._sequencer.is_quarantined(name)
            ):
                self._quarantined(link, request, name)
            case m.Inspect() if link.role is Role.ADMIN:
                self._inspect(link, message)
            case m.End(request=request, inbox=name) if self._sequencer.is_quarantined(name):
                self._quarantined(link, request, name)
            case m.End(request=request, inbox=name):
                inbox = self._sequencer.inboxes.get(name)
                link.offer(m.EndOk(request, name, inbox.pos_end - 1 if inbox else -1))
            case m.Presence(request=request, users=users):
                self._presence(link, request, users)
            case m.Heartbeat(nonce=nonce):
                link.offer(m.HeartbeatOk(nonce))
            case m.HeartbeatOk():
                pass
            case m.Error(code=code):
                self._fail(link, code, "answered in kind")
            case _:
                detail = f"{type(message).__name__} from role {link.role}"
                self._fail(link, ErrorCode.UNEXPECTED_MESSAGE, detail)

    def _quarantined(self, link: Link, request: int, name: str) -> None:
        why = self._sequencer.quarantined.get(name, "inboxes are missing, and it may be one")
        link.offer(m.Error(request, ErrorCode.QUARANTINED, why[:DETAIL_CHARS_MAX]))

    def _hello(self, link: Link, message: m.Message) -> None:
        settings = self._settings
        if not isinstance(message, m.Hello):
            self._fail(link, ErrorCode.HELLO_EXPECTED, type(message).__name__)
            return
        version = versions.agreed(message)
        if version is None:
            self._fail(link, ErrorCode.VERSION_MISMATCH, versions.refusal(message))
            return
        if refusal := self._enter(link, message):
            self._reach["core.refused_at_the_door"] += 1
            self._fail(link, *refusal)
        else:
            link.version = version
            idle_ms = settings.heartbeat_deadline_ms
            link.pulse = self._pulse(settings.admin_idle_ms if link.role is Role.ADMIN else idle_ms)
            link.offer(m.Welcome(version, settings.node, settings.link_credit_bytes))

    def _enter(self, link: Link, hello: m.Hello) -> tuple[ErrorCode, str] | None:
        """Let a link in as whom its token names; return why not."""
        settings = self._settings
        keys = {Role.EDGE: settings.edge_key, Role.ADMIN: settings.admin_key}.get(hello.role)  # type: ignore[call-overload]
        if keys is None:
            return ErrorCode.UNEXPECTED_MESSAGE, "a core takes roles edge and admin"
        claims = verify(keys, hello.token, hello.role)
        if claims is None:
            detail = f"no key of this core has signed the token for role {hello.role}"
            return ErrorCode.UNAUTHORISED, detail
        if not 0 < len(hello.node.encode()) <= NODE_NAME_BYTES_MAX:
            return ErrorCode.BAD_NAME, "the name of the node has a bad length"
        role = Role(hello.role)
        if role is Role.EDGE and claims.name != hello.node:
            return (
                ErrorCode.UNAUTHORISED,
                f"the token is edge {claims.name!r}'s, not {hello.node!r}'s",
            )
        links = [one for one in self._links.values() if (one.role, one.node) == (role, claims.name)]
        if sum(not one.failed for one in links) >= settings.node_connections_max:
            return ErrorCode.QUOTA, f"{role} {claims.name!r} has as many connections as allowed"
        link.role, link.node = role, claims.name
        return None

    def _append(self, link: Link, segments: Iterable[m.Segment]) -> None:
        known: list[m.OkRange] = []
        refused: list[m.RefusedRange] = []
        for segment in segments:
            match self._sequencer.append(link, segment):
                case m.OkRange() as ok:
                    known.append(ok)
                case m.RefusedRange() as refusal:
                    refused.append(refusal)
        if known:
            link.offer(m.Ok(tuple(known)))
        if refused:
            link.offer(m.Refused(tuple(refused)))

    def _login(self, link: Link, login: m.Login) -> None:
        if len(login.inboxes) > LOGIN_INBOXES_MAX:
            detail = f"at most {LOGIN_INBOXES_MAX} inboxes"
            link.offer(m.Error(login.request, ErrorCode.TOO_LARGE, detail))
        elif not login.inbox:
            durable = self._durable_counts(login)
            credit = self._settings.link_credit_bytes
            link.offer(m.LoginOk(login.request, -1, -1, 0, durable, credit))
        elif login.from_pos < -2 or login.window_bytes < 1:
            self._fail(link, ErrorCode.BAD_HEADER, "a login with a bad position or window")
        elif code := self._sequencer.open_session(link, login):
            if code is ErrorCode.QUARANTINED:
                self._quarantined(link, login.request, login.inbox)
            else:
                link.offer(m.Error(login.request, code, ""))

    def _durable_counts(self, login: m.Login) -> tuple[int, ...]:
        if login.producer < 0:
            return (0,) * len(login.inboxes)
        return tuple(self._sequencer.n_durable(login.producer, name) for name in login.inboxes)

    def _logged_in(self, wait: LoginWait) -> None:
        """A session number is durable: the session before ends, this one begins."""
        login, link = wait.login, wait.link
        inbox = self._sequencer.inboxes[login.inbox]
        before = self._deliverer.active.get(inbox.name)
        if before is not None:
            by_another = before.link is not link
            self._reach["core.taken_over" if by_another else "core.superseded_on_its_link"] += 1
            self._end(before, ErrorCode.SUPERSEDED)
        cursor = inbox.cursor_durable
        wanted = cursor if login.from_pos == -2 else login.from_pos
        next_pos = max(min(wanted + 1, inbox.pos_end), inbox.floor_durable)
        if next_pos > wanted + 1:
            self._reach["core.login_behind_trimming"] += 1
        if link.failed:
            self._reach["core.login_of_a_lost_link"] += 1
            return
        window_bytes = min(login.window_bytes, self._settings.window_bytes_max)
        session = Session(inbox, wait.session, link, next_pos, window_bytes)
        self._deliverer.open(session)
        link.offer(
            m.LoginOk(
                login.request,
                wait.session,
                cursor,
                next_pos,
                self._durable_counts(login),
                self._settings.link_credit_bytes,
            )
        )
        self._deliverer.pump(session)

    def _end(self, session: Session, code: ErrorCode) -> None:
        self._deliverer.end(session)
        mark = m.CursorMark(session.inbox.name, session.number, session.next_pos - 1)
        session.link.offer(m.Superseded((mark,), code))

    def _damaged(self, session: Session | None) -> None:
        """End a session whose next position cannot be read; nobody else is harmed by that."""
        if session is not None:
            self._reach["core.read_damaged"] += 1
            self._damaged_reads += 1
            self._ended[session.inbox.name] = session.number
            self._end(session, ErrorCode.DAMAGED)

    def _logout(self, link: Link, logout: m.Logout) -> None:
        session = self._current(logout.inbox, logout.session)
        if isinstance(session, Session):
            self._deliverer.end(session)
            self._ended[logout.inbox] = logout.session
        if logout.request < 0:
            return
        if isinstance(session, Session):
            link.offer(m.LogoutOk(logout.request))
        else:
            link.offer(m.Error(logout.request, session, ""))

    def _current(self, name: str, number: int) -> Session | ErrorCode:
        """Return the active session if it has this number, or what is wrong with the number."""
        session = self._deliverer.active.get(name)
        if session is not None and session.number == number:
            return session
        inbox = self._sequencer.inboxes.get(name)
        if inbox is not None and number < inbox.session_durable:
            return ErrorCode.SUPERSEDED
        return ErrorCode.UNKNOWN_SESSION

    def _cursors(self, link: Link, marks: Iterable[m.CursorMark]) -> None:
        durable: list[m.CursorMark] = []
        for mark in marks:
            session = self._current(mark.inbox, mark.session)
            if not isinstance(session, Session):
                self._reach["core.cursor_of_an_ended_session"] += 1
                link.offer(m.Superseded((mark,), session))
                continue
            if self._sequencer.inboxes[mark.inbox].session > mark.session:
                # A login that came before the mark is being committed. Once it is, the mark is too
                # late: the new session was promised everything behind the cursor of that moment.
                self._reach["core.cursor_amid_a_login"] += 1
                self._park(link, mark)
                continue
            if mark.upto >= session.next_pos:
                self._ended[mark.inbox] = mark.session
                self._end(session, ErrorCode.ACK_BEYOND_DELIVERED)
                continue
            session.window.acknowledged(mark.upto)
            if self._sequencer.move_cursor(link, mark):
                durable.append(mark)
            elif session.read_no >= 0 and self._settings.retention is Retention.ACK:
                self._reach["core.trimmed_amid_a_read"] += 1
            self._deliverer.pump(session)
        if durable:
            link.offer(m.CursorOk(tuple(durable)))

    def _park(self, link: Link, mark: m.CursorMark) -> None:
        """Keep a mark for a later tick; of one session the farthest says what the others say."""
        kept = self._parked.get((mark.inbox, mark.session))
        if kept is None or kept[1].upto < mark.upto:
            self._parked[mark.inbox, mark.session] = (link, mark)

    def _resume(self, link: Link, marks: Iterable[m.ResumeMark]) -> None:
        for mark in marks:
            inbox = self._sequencer.inboxes.get(mark.inbox)
            ended = self._ended.get(mark.inbox, -1)
            window_bytes = min(max(mark.window_bytes, 1), self._settings.window_bytes_max)
            session = presence.resumed(self._deliverer, inbox, ended, mark, link, window_bytes)
            cursor = m.CursorMark(mark.inbox, mark.session, mark.acked_pos)
            if not isinstance(session, Session):
                self._reach[f"core.resume_refused_{session.name.lower()}"] += 1
                link.offer(m.Superseded((cursor,), session))
                continue
            self._reach["core.session_resumed"] += 1
            if session.window.in_flight_bytes:
                self._reach["core.session_resumed_unacknowledged"] += 1
            # It moves no cursor: a client that named its place at login has acknowledged nothing,
            # and what it did acknowledge comes again as CURSOR_ACK.
            self._deliverer.pump(session)

    def _presence(self, link: Link, request: int, users: tuple[str, ...]) -> None:
        if len(users) > PRESENCE_USERS_MAX:
            detail = f"at most {PRESENCE_USERS_MAX} users"
            link.offer(m.Error(request, ErrorCode.TOO_LARGE, detail))
            return
        entries = tuple(presence.entry(self._deliverer, user) for user in users)
        link.offer(m.PresenceOk(request, entries))

    def _inspect(self, link: Link, inspect: m.Inspect) -> None:
        if not inspect.inbox:
            gauges, hot = self.gauges(), self._hot_list()
            link.offer(m.InspectOk(inspect.request, "", (), (), False, gauges, hot))
        elif not name_is_good(inspect.inbox):
            link.offer(m.Error(inspect.request, ErrorCode.BAD_NAME, ""))
        else:
            self._rows_no += 1
            self._inspecting[self._rows_no] = (link, inspect)
            self._effects.append(
                ReadRows(
                    read_no=self._rows_no,
                    inbox=inspect.inbox,
                    after_pos=inspect.after_pos,
                    after_bucket=inspect.after_bucket,
                )
            )

    def _rows_read(self, read: RowsRead) -> None:
        link, inspect = self._inspecting.pop(read.read_no)
        inbox = self._sequencer.inboxes.get(inspect.inbox)
        if read.damaged:
            self._damaged_reads += 1
            why = "a stored row has changed; see the core's log"
            link.offer(m.Error(inspect.request, ErrorCode.DAMAGED, why))
            return
        end = inbox.pos_end if inbox else 0
        # The store may be a commit ahead of what has been reported as durable.
        rows = tuple(row for row in read.rows if row.pos_last < end)
        epochs = tuple(inbox.epochs[: inbox.epochs_durable]) if inbox else ()
        more = read.more and len(rows) == len(read.rows)
        link.offer(m.InspectOk(inspect.request, inspect.inbox, epochs, rows, more, self.gauges()))

    # Commits ----------------------------------------------------------------------------------

    def _committed(self, commit_no: int) -> None:
        group = self._sequencer.committed(commit_no)
        for link, ranges in _by_link(group.oks):
            link.offer(m.Ok(tuple(ranges)))
        for link, marks in _by_link(group.cursors):
            link.offer(m.CursorOk(tuple(marks)))
        for link, reply in group.replies:
            link.offer(reply)
        for append in group.writes.appends:
            self._deliverer.tail.add(append)
            if self._heat is not None:
                self._heat.wrote(append.inbox, append.count)
        for wait in group.logins:
            self._logged_in(wait)
        for name in group.inboxes:
            session = self._deliverer.active.get(name)
            if session is not None:
                self._deliverer.pump(session)

    def _refused(self, commit_no: int) -> None:
        for group in self._sequencer.refused(commit_no):
            self._tell_full(group)

    def _tell_full(self, group: Group) -> None:
        """Nothing of a group happened: everybody who waited may ask again."""
        full = ErrorCode.STORAGE_FULL
        for link, ranges in _by_link(group.oks):
            refused = [
                m.RefusedRange(
                    ok.inbox,
                    ok.producer,
                    ok.n_first,
                    ok.count,
                    full,
                    self._sequencer.n_durable(ok.producer, ok.inbox),
                )
                for ok in _whole(ranges)
            ]
            link.offer(m.Refused(tuple(refused)))
        for wait in group.logins:
            wait.link.offer(m.Error(wait.login.request, full, "the login did not happen"))
        for link, reply in group.replies:
            link.offer(m.Error(reply.request, full, "the promotion did not happen"))
        # A cursor mark has no refusal that leaves its session alive, so it is tried again.
        for link, mark in group.cursors:
            self._park(link, mark)
        self._parked_until_ns = self._now_ns + self._settings.store_retry_ms * MS_NS


def _whole(ranges: Iterable[m.OkRange]) -> list[m.OkRange]:
    """Join the known front part of a batch with its rest: a batch is refused as it was sent."""
    joined: list[m.OkRange] = []
    for ok in ranges:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.pos_first < 0 <= ok.pos_first
            and (last.producer, last.inbox) == (ok.producer, ok.inbox)
            and last.n_first + last.count == ok.n_first
        ):
            joined[-1] = m.OkRange(
                ok.inbox, ok.producer, last.n_first, last.count + ok.count, -1, -1
            )
        else:
            joined.append(ok)
    return joined


def _by_link(pairs: Iterable[tuple[Link, T]]) -> Iterable[tuple[Link, list[T]]]:
    grouped: dict[int, tuple[Link, list[T]]] = {}
    for link, item in pairs:
        grouped.setdefault(link.conn, (link, []))[1].append(item)
    return grouped.values()
