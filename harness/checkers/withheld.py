"""D8: does a message wait although its reader does?

Judged is a silence of one session: it had been delivered nothing for longer than the promised
bound, had acknowledged all that it had, and what it was delivered then had been acknowledged to its
sender for longer than the bound as well. A system that is merely slow answers slowly and delivers
all the time; only one that withholds what it has makes both at once.

What breaks or stops anything excuses it, until all had time to find each other again; how late a
node or a load process was woken at the worst is added twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.clues import seconds
from harness.checkers.facts import Facts
from harness.checkers.index import Index
from harness.checkers.quiet import Quiet
from harness.checkers.run_facts import RunFacts
from harness.history.records import (
    OK,
    AckInvoked,
    Closed,
    Completed,
    Delivered,
    FaultMarked,
    Opened,
    PhaseMarked,
)
from harness.systems.promises import Promise

WAITING_MAX = 4_096
"""Acknowledged ranges kept per inbox; what comes beyond is not judged: nobody reads it anyway."""

SETTLE_BOUNDS = 2
"""So many bounds of presence after a disturbance everybody has found everybody again."""

SEEN = AckInvoked | Closed | Completed | Delivered | FaultMarked | Opened | PhaseMarked


@dataclass(slots=True)
class _Inbox:
    """Ranges of acknowledged positions that no session has been delivered: (first, last, since)."""

    waiting: deque[tuple[int, int, int]] = field(default_factory=deque)
    top: int = -1


@dataclass(slots=True)
class _Session:
    """An open session: since when it has been given nothing, and whether it holds anything back."""

    since_ns: int
    top: int = -1
    holds_back: bool = False


@check(
    "D8",
    "WITHHELD",
    "acknowledged, and not delivered within the bound to a reader that waited",
    needs=Promise.DELIVERY_BOUND,
    reach=Reach.ONCE,
)
class Withheld:
    """Instances are deliveries that ended such a silence."""

    sees: ClassVar[tuple[type, ...]] = (
        AckInvoked, Closed, Completed, Delivered, FaultMarked, Opened, PhaseMarked,
    )  # fmt: skip

    def __init__(self) -> None:
        self._quiet = Quiet()
        self._inboxes: dict[str, _Inbox] = {}
        self._sessions: dict[tuple[str, str, int], _Session] = {}
        self._examined = 0
        self._late: list[tuple[int, Delivered]] = []

    def see(self, record: SEEN, index: Index, run: RunFacts) -> None:
        """Take a record."""
        match record:
            case Completed():
                self._completed(record)
            case Delivered():
                self._delivered(record, run)
            case AckInvoked():
                session = self._sessions.get((record.reader, record.inbox, record.session))
                if session is not None and record.upto >= session.top:
                    session.holds_back = False
                    session.since_ns = record.t_ns
            case Opened():
                key = (record.reader, record.inbox, record.session)
                self._sessions[key] = _Session(record.t_ns)
            case Closed():
                self._sessions.pop((record.reader, record.inbox, record.session), None)
            case FaultMarked() | PhaseMarked():
                self._quiet.see(record)

    def _completed(self, record: Completed) -> None:
        if record.outcome != OK or record.pos_first < 0:
            return
        inbox = self._inboxes.setdefault(record.inbox, _Inbox())
        last = record.pos_first + record.count - 1
        if last > inbox.top and len(inbox.waiting) < WAITING_MAX:
            inbox.waiting.append((record.pos_first, last, record.t_ns))

    def _delivered(self, record: Delivered, run: RunFacts) -> None:
        inbox = self._inboxes.setdefault(record.inbox, _Inbox())
        session = self._sessions.get((record.reader, record.inbox, record.session))
        first = record.pos_first
        last = first + sum(part.count for part in record.runs) - 1
        if session is not None:
            self._judge(record, inbox, session, (first, last), run)
            session.since_ns = record.t_ns
            session.holds_back = True
            session.top = max(session.top, last)
        inbox.top = max(inbox.top, last)
        while inbox.waiting and inbox.waiting[0][1] <= inbox.top:
            inbox.waiting.popleft()

    def _judge(
        self,
        record: Delivered,
        inbox: _Inbox,
        session: _Session,
        span: tuple[int, int],
        run: RunFacts,
    ) -> None:
        if session.holds_back:
            return
        since_ns = max(
            session.since_ns, self._quiet.since_ns(SETTLE_BOUNDS * run.presence_bound_ns)
        )
        if since_ns > record.t_ns:
            return
        self._examined += 1
        if record.t_ns - since_ns <= run.delivery_bound_ns:
            return
        first, last = span
        known = [
            t_ns
            for begin, end, t_ns in inbox.waiting
            if begin <= last and end >= first and end > inbox.top
        ]
        waited_ns = record.t_ns - max(since_ns, min(known, default=record.t_ns))
        if waited_ns > run.delivery_bound_ns:
            self._late.append((waited_ns, record))

    def finish(self, facts: Facts) -> Found:
        """Return the deliveries that came too late, whatever the machine did."""
        if not facts.run.delivery_bound_ns:
            return Found(examined=0, not_applicable="the system does not say within which time")
        gauges = facts.index.gauges
        lag_ns = max(gauges.lag_ns_max, gauges.load_lag_ns_max)
        allowed_ns = facts.run.delivery_bound_ns + 2 * lag_ns
        late = [one for one in self._late if one[0] > allowed_ns]
        return Found(
            examined=self._examined,
            instances=len(late),
            clues=[
                Clue(
                    summary=(
                        f"position {record.pos_first} of {record.inbox} came at "
                        f"{seconds(record.t_ns)} to {record.reader}, which had waited for "
                        f"{waited_ns / 1e9:.3f} s while it was acknowledged to its sender"
                    ),
                    inbox=record.inbox,
                    pos=record.pos_first,
                    record=record,
                )
                for waited_ns, record in late[:WITNESSES_MAX]
            ],
            not_applicable="" if self._examined else "no reader waited while nothing was disturbed",
        )
