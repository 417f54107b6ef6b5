"""Sequencing: positions, epochs, session numbers and cursors, gathered into group commits.

Every number exists twice: assigned (what the next event builds on) and durable (what may be
shown). One group is being committed, the next one gathers; when the store is full, everything
assigned and not durable is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reference.core.accounts import Accounts
from reference.core.links import Link
from reference.core.producers import Lineage, cut
from reference.core.settings import (
    APPEND_BYTES_MAX,
    APPEND_COUNT_MAX,
    APPEND_RUNS_MAX,
    CoreSettings,
    Retention,
)
from reference.events import (
    Append,
    Commit,
    EpochMark,
    InboxMark,
    Recovered,
    Writes,
)
from reference.identity import account_of
from reference.reach import Reach
from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import (
    BATCH_BYTES_MAX,
    BATCH_COUNT_MAX,
    BUCKET_COUNT_MAX,
    EPOCHS_MAX,
    INBOX_NAME_BYTES_MAX,
)


class Inbox:
    """The numbers of one inbox as assigned, and its durable mark and epochs."""

    __slots__ = ("cursor", "durable", "epochs", "epochs_durable", "floor", "name", "pos_next",
                 "session")  # fmt: skip

    def __init__(self, name: str, durable: InboxMark | None = None) -> None:
        self.name = name
        self.durable = durable
        self.epochs = [m.EpochEntry(0, 1, 0)]
        self.epochs_durable = 1
        self.reset()

    def reset(self) -> None:
        """Forget everything that is not durable."""
        durable = self.durable
        self.pos_next = durable.pos_next if durable else 0
        self.cursor = durable.cursor if durable else -1
        self.session = durable.session if durable else 0
        self.floor = durable.floor if durable else 0
        del self.epochs[self.epochs_durable :]

    @property
    def pos_end(self) -> int:
        """The first position behind the durable messages."""
        return self.durable.pos_next if self.durable else 0

    @property
    def cursor_durable(self) -> int:
        """The durable cursor."""
        return self.durable.cursor if self.durable else -1

    @property
    def session_durable(self) -> int:
        """The highest durable session number."""
        return self.durable.session if self.durable else 0

    @property
    def floor_durable(self) -> int:
        """Positions below it may be gone."""
        return self.durable.floor if self.durable else 0

    def mark(self) -> InboxMark:
        """Return what is to be made durable."""
        return InboxMark(
            inbox=self.name,
            pos_next=self.pos_next,
            cursor=self.cursor,
            session=self.session,
            floor=self.floor,
        )


class _Builder:
    """An append that still grows."""

    __slots__ = ("bodies", "body_bytes", "count", "epoch", "inbox", "lengths", "pos_first", "runs")

    def __init__(self, inbox: str, pos_first: int, epoch: m.EpochEntry) -> None:
        self.inbox = inbox
        self.pos_first = pos_first
        self.epoch = epoch
        self.runs: list[m.Run] = []
        self.lengths: list[bytes] = []
        self.bodies: list[bytes] = []
        self.body_bytes = 0
        self.count = 0

    def takes(self, epoch: m.EpochEntry, count: int, body_bytes: int) -> bool:
        return (
            epoch is self.epoch
            and self.count + count <= APPEND_COUNT_MAX
            and self.body_bytes + body_bytes <= APPEND_BYTES_MAX
            and len(self.runs) < APPEND_RUNS_MAX
        )

    def add(self, producer: int, n_first: int, lengths: bytes, body: bytes) -> None:
        count = len(lengths) // 4
        last = self.runs[-1] if self.runs else None
        if last and last.producer == producer and last.n_first + last.count == n_first:
            self.runs[-1] = m.Run(
                producer, last.n_first, last.count + count, last.epoch, last.bucket_count
            )
        else:
            self.runs.append(
                m.Run(producer, n_first, count, self.epoch.epoch, self.epoch.bucket_count)
            )
        self.lengths.append(lengths)
        self.bodies.append(body)
        self.body_bytes += len(body)
        self.count += count

    def build(self) -> Append:
        one = len(self.bodies) == 1
        return Append(
            inbox=self.inbox,
            pos_first=self.pos_first,
            epoch=self.epoch.epoch,
            bucket_count=self.epoch.bucket_count,
            runs=tuple(self.runs),
            lengths=self.lengths[0] if one else b"".join(self.lengths),
            body=self.bodies[0] if one else b"".join(self.bodies),
        )


@dataclass(slots=True, kw_only=True)
class LoginWait:
    """A login that took the session number `session` and waits for it to be durable."""

    link: Link
    login: m.Login
    session: int


@dataclass(slots=True, kw_only=True)
class Group:
    """What will be durable with one commit, and who waits for that."""

    commit_no: int
    builders: list[_Builder] = field(default_factory=list)
    last_builder: dict[str, _Builder] = field(default_factory=dict)
    lineages: dict[tuple[int, str], Lineage] = field(default_factory=dict)
    inboxes: dict[str, Inbox] = field(default_factory=dict)
    epochs: list[EpochMark] = field(default_factory=list)
    trims: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    oks: list[tuple[Link, m.OkRange]] = field(default_factory=list)
    logins: list[LoginWait] = field(default_factory=list)
    cursors: list[tuple[Link, m.CursorMark]] = field(default_factory=list)
    replies: list[tuple[Link, m.Promoted | m.Error]] = field(default_factory=list)
    writes: Writes = field(default_factory=Writes)

    @property
    def empty(self) -> bool:
        """Nothing is to be written and nobody waits."""
        return not (self.inboxes or self.oks or self.replies or self.cursors)


def name_is_good(name: str) -> bool:
    """Tell whether an inbox may have this name: printable text of a bounded length."""
    size_bytes = len(name.encode("utf-8", "surrogatepass"))
    return 0 < size_bytes <= INBOX_NAME_BYTES_MAX and name.isprintable()


class Sequencer:
    """Gives positions and numbers, and remembers what is durable. Reveals nothing by itself."""

    def __init__(
        self, settings: CoreSettings, recovered: Recovered, reach: Reach | None = None
    ) -> None:
        self._settings = settings
        self._reach = Reach() if reach is None else reach
        self.inboxes: dict[str, Inbox] = {
            mark.inbox: Inbox(mark.inbox, mark) for mark in recovered.inboxes
        }
        self.lineages: dict[tuple[int, str], Lineage] = {
            (mark.producer, mark.inbox): Lineage(mark.producer, mark.inbox, mark)
            for mark in recovered.producers
        }
        for epoch in recovered.epochs:
            inbox = self.inboxes[epoch.inbox]
            inbox.epochs.append(m.EpochEntry(epoch.epoch, epoch.bucket_count, epoch.pos_first))
            inbox.epochs_durable += 1
        self._accounts = Accounts()
        for producer, inbox_name in self.lineages:
            self._accounts.add(producer, inbox_name, was_read=self._was_read(inbox_name))
        self._forgotten = recovered.forgotten
        self.quarantined = recovered.quarantined
        """Inboxes of which something is damaged, and what."""
        self._inboxes_whole = recovered.inboxes_whole
        # Who is known in some inbox was not forgotten; all others may have been.
        self._producers = (
            None if recovered.forgotten_whole else {mark.producer for mark in recovered.producers}
        )
        self._gathering = Group(commit_no=1)
        self._in_flight: Group | None = None
        self.full = False
        """The last commit was refused: messages are refused until another one was not.

        What comes meanwhile (acknowledgements, logins) is committed without them, so that it can
        have what room there is.
        """
        self.commits = 0
        """Durable commits that held messages, since the start."""

    @property
    def pending_bytes(self) -> int:
        """Bytes assigned and not yet durable."""
        in_flight = self._in_flight.size_bytes if self._in_flight else 0
        return in_flight + self._gathering.size_bytes

    @property
    def idle(self) -> bool:
        """Nothing is being committed or waits for it."""
        return self._in_flight is None and self._gathering.empty

    def _was_read(self, name: str) -> bool:
        """Tell whether anybody has ever logged in to an inbox, durably."""
        inbox = self.inboxes.get(name)
        return inbox is not None and inbox.session_durable > 0

    def n_durable(self, producer: int, inbox: str) -> int:
        """Return how many messages of a producer to an inbox are durable, -1: nobody knows."""
        if self.is_quarantined(inbox):
            return -1
        lineage = self.lineages.get((producer, inbox))
        return lineage.n_durable if lineage else 0

    def append(self, link: Link, segment: m.Segment) -> m.OkRange | m.RefusedRange | None:
        """Take a batch: the known prefix is dropped, the rest gets positions.

        Returns:
            What can be said at once: that all of it is durable already, or why it is refused.
            Otherwise None: its ranges are answered with the group's commit.
        """
        lineage = self.lineages.get((segment.producer, segment.inbox))
        if lineage is None and (code := self._stranger(segment)):
            return _refuse(segment, code, -1)
        n_assigned = lineage.n_assigned if lineage else 0
        if segment.n_first > n_assigned:
            self._reach["core.gap"] += 1
            return _refuse(segment, ErrorCode.GAP, n_assigned)
        known = n_assigned - segment.n_first
        if lineage and known:
            if lineage.contradicts(segment):
                return _refuse(segment, ErrorCode.PRODUCER_REUSED, n_assigned)
            if known >= segment.count:
                known_ok = _ok(segment, 0, segment.count, -1, -1)
                if segment.n_end <= lineage.n_durable:
                    self._reach["core.batch_known"] += 1
                    return known_ok
                self._reach["core.batch_being_committed"] += 1
                # Assigned but not durable: its own commit answers it, never this moment.
                self._group_of(lineage).oks.append((link, known_ok))
                return None
        if code := self._refusal(segment, lineage):
            self._reach[f"core.refused_{code.name.lower()}"] += 1
            return _refuse(segment, code, n_assigned)
        self._take(link, segment, known)
        return None

    def _stranger(self, segment: m.Segment) -> ErrorCode | None:
        """Return why nothing is taken of a lineage that is not known, or None: it is new."""
        if segment.producer in self._forgotten:
            self._reach["core.producer_forgotten"] += 1
            return ErrorCode.PRODUCER_REUSED
        if self.is_quarantined(segment.inbox):
            return ErrorCode.QUARANTINED
        if self._producers is not None and segment.producer not in self._producers:
            return ErrorCode.QUARANTINED
        return None

    def is_quarantined(self, inbox: str) -> bool:
        """Tell whether nobody knows what became of an inbox: it is damaged, or may be gone."""
        return inbox not in self.inboxes and (inbox in self.quarantined or not self._inboxes_whole)

    def _refusal(self, segment: m.Segment, lineage: Lineage | None) -> ErrorCode | None:
        settings = self._settings
        if not 0 < segment.count <= BATCH_COUNT_MAX or len(segment.body) > BATCH_BYTES_MAX:
            return ErrorCode.TOO_LARGE
        if lineage is None and not self._may_begin(segment):
            return ErrorCode.QUOTA
        if segment.inbox not in self.inboxes and (code := self._new_name(segment.inbox)):
            return code
        if self.full:
            return ErrorCode.STORAGE_FULL
        if self.pending_bytes + segment.size_bytes > settings.pending_bytes_max:
            return ErrorCode.BUSY
        return None

    def _may_begin(self, segment: m.Segment) -> bool:
        """Tell whether an account, and all together, may have one more (producer, inbox)."""
        settings = self._settings
        account = account_of(segment.producer)
        accounts = self._accounts
        return (
            len(self.lineages) < settings.producers_max
            and accounts.producers(account) < settings.account_producers_max
            and (
                accounts.unread(account) < settings.account_inboxes_max
                or self._was_read(segment.inbox)
            )
        )

    def _new_name(self, name: str) -> ErrorCode | None:
        if not name_is_good(name):
            return ErrorCode.BAD_NAME
        if self.is_quarantined(name):
            return ErrorCode.QUARANTINED
        return ErrorCode.QUOTA if len(self.inboxes) >= self._settings.inboxes_max else None

    def _take(self, link: Link, segment: m.Segment, known: int) -> None:
        group = self._gathering
        key = (segment.producer, segment.inbox)
        inbox = self._dirty(segment.inbox)
        lineage = self.lineages.get(key)
        if lineage is None:
            lineage = self.lineages[key] = Lineage(segment.producer, segment.inbox)
            self._accounts.add(*key, was_read=self._was_read(segment.inbox))
        lineage.assign(segment, known, group.commit_no)
        group.lineages[key] = lineage
        epoch = inbox.epochs[-1]
        if known:
            self._reach["core.batch_partly_known"] += 1
            group.oks.append((link, _ok(segment, 0, known, -1, -1)))
        group.oks.append((link, _ok(segment, known, segment.count, inbox.pos_next, epoch.epoch)))
        if segment.count - known > APPEND_COUNT_MAX:
            self._reach["core.batch_of_several_appends"] += 1
        for start in range(known, segment.count, APPEND_COUNT_MAX):
            self._build(inbox, segment, start, min(start + APPEND_COUNT_MAX, segment.count))

    def _build(self, inbox: Inbox, segment: m.Segment, start: int, stop: int) -> None:
        """Give the messages start … stop - 1 of a batch the next positions."""
        group = self._gathering
        lengths, body = cut(segment, start, stop)
        epoch = inbox.epochs[-1]
        builder = group.last_builder.get(inbox.name)
        if builder is None or not builder.takes(epoch, stop - start, len(body)):
            builder = _Builder(inbox.name, inbox.pos_next, epoch)
            group.builders.append(builder)
            group.last_builder[inbox.name] = builder
        builder.add(segment.producer, segment.n_first + start, lengths, body)
        group.size_bytes += len(lengths) + len(body)
        inbox.pos_next += stop - start

    def open_session(self, link: Link, login: m.Login) -> ErrorCode | None:
        """Take the next session number of an inbox; the group's commit answers the login."""
        if login.inbox not in self.inboxes and (code := self._new_name(login.inbox)):
            return code
        inbox = self._dirty(login.inbox)
        inbox.session += 1
        self._gathering.logins.append(LoginWait(link=link, login=login, session=inbox.session))
        return None

    def move_cursor(self, link: Link, mark: m.CursorMark) -> bool:
        """Move a cursor forward. Returns True when it is durable already."""
        inbox = self.inboxes[mark.inbox]
        if mark.upto <= inbox.cursor_durable:
            self._reach["core.cursor_known"] += 1
            return True
        self._dirty(mark.inbox)
        group = self._gathering
        inbox.cursor = max(inbox.cursor, mark.upto)
        if self._settings.retention is Retention.ACK:
            inbox.floor = max(inbox.floor, inbox.cursor + 1)
            group.trims[mark.inbox] = inbox.cursor
        group.cursors.append((link, mark))
        return False

    def promote(self, link: Link, promote: m.Promote) -> m.Error | None:
        """Begin an epoch at the next position, if the expected one is in force."""
        request = promote.request
        if not 1 <= promote.bucket_count <= BUCKET_COUNT_MAX:
            detail = f"between 1 and {BUCKET_COUNT_MAX}, not {promote.bucket_count}"
            return m.Error(request, ErrorCode.BAD_BUCKET_COUNT, detail)
        inbox = self.inboxes.get(promote.inbox)
        if inbox is None and (code := self._new_name(promote.inbox)):
            return m.Error(request, code, "")
        entry = inbox.epochs[-1] if inbox else m.EpochEntry(0, 1, 0)
        if entry.epoch != promote.expected_epoch:
            self._reach["core.promotion_of_another_epoch"] += 1
            detail = f"epoch {entry.epoch} with {entry.bucket_count} buckets is in force"
            error = m.Error(request, ErrorCode.EPOCH_MISMATCH, detail)
            if inbox is None or len(inbox.epochs) == inbox.epochs_durable:
                return error
            # The epoch in force is not durable yet, and the refusal would show it.
            self._gathering.replies.append((link, error))
            return None
        if inbox is not None and len(inbox.epochs) >= EPOCHS_MAX:
            return m.Error(request, ErrorCode.QUOTA, f"at most {EPOCHS_MAX} epochs")
        begun = self.begin_epoch(promote.inbox, promote.bucket_count)
        reply = m.Promoted(request, promote.inbox, begun.epoch, begun.bucket_count, begun.pos_first)
        self._gathering.replies.append((link, reply))
        return None

    def begin_epoch(self, name: str, bucket_count: int) -> m.EpochEntry:
        """Begin an epoch of an inbox at its next position, durable with the group's commit."""
        inbox = self._dirty(name)
        if inbox.pos_next > inbox.pos_end:
            self._reach["core.promotion_amid_messages"] += 1
        begun = m.EpochEntry(inbox.epochs[-1].epoch + 1, bucket_count, inbox.pos_next)
        inbox.epochs.append(begun)
        self._gathering.epochs.append(
            EpochMark(
                inbox=name,
                epoch=begun.epoch,
                bucket_count=begun.bucket_count,
                pos_first=begun.pos_first,
            )
        )
        return begun

    def count_in_force(self, name: str) -> tuple[int, int]:
        """Return the bucket count in force of an inbox, and how many epochs it has had."""
        inbox = self.inboxes.get(name)
        return (inbox.epochs[-1].bucket_count, len(inbox.epochs)) if inbox else (1, 1)

    def seal(self) -> Commit | None:
        """Return the next group commit, if something waits and none is under way."""
        group = self._gathering
        if self._in_flight is not None or group.empty:
            return None
        group.writes = Writes(
            appends=tuple(builder.build() for builder in group.builders),
            producers=tuple(lineage.mark() for lineage in group.lineages.values()),
            inboxes=tuple(inbox.mark() for inbox in group.inboxes.values()),
            epochs=tuple(group.epochs),
            trims=tuple(group.trims.items()),
        )
        group.builders.clear()
        group.last_builder.clear()
        self._in_flight = group
        self._gathering = Group(commit_no=group.commit_no + 1)
        return Commit(commit_no=group.commit_no, writes=group.writes)

    def committed(self, commit_no: int) -> Group:
        """Take the group under way as durable and return it, so that those who wait are told."""
        group = self._under_way(commit_no)
        self._in_flight = None
        if self.full:
            self._reach["core.store_took_again"] += 1
        self.full = False
        if group.writes.appends:
            self.commits += 1
        writes = group.writes
        for producer in writes.producers:
            group.lineages[producer.producer, producer.inbox].durable = producer
        for mark in writes.inboxes:
            group.inboxes[mark.inbox].durable = mark
            if mark.session > 0:
                self._accounts.read(mark.inbox)
        for epoch in writes.epochs:
            group.inboxes[epoch.inbox].epochs_durable += 1
        return group

    def refused(self, commit_no: int) -> tuple[Group, Group]:
        """Go back to what is durable; return both groups, so that those who wait are told."""
        in_flight = self._under_way(commit_no)
        gathering = self._gathering
        self._reach["core.commit_refused"] += 1
        if not self.full and self._reach["core.store_took_again"]:
            self._reach["core.store_full_again"] += 1
        if in_flight.writes.epochs or gathering.epochs:
            self._reach["core.promotion_taken_back"] += 1
        for group in (in_flight, gathering):
            for key, lineage in group.lineages.items():
                lineage.reset()
                if lineage.durable is None and self.lineages.pop(key, None) is not None:
                    self._accounts.remove(*key)
            for name, inbox in group.inboxes.items():
                inbox.reset()
                if inbox.durable is None:
                    self.inboxes.pop(name, None)
        self._in_flight = None
        self.full = True
        self._gathering = Group(commit_no=gathering.commit_no + 1)
        return in_flight, gathering

    def _under_way(self, commit_no: int) -> Group:
        group = self._in_flight
        if group is None or group.commit_no != commit_no:
            raise ValueError(f"commit {commit_no} is not under way")
        return group

    def _group_of(self, lineage: Lineage) -> Group:
        in_flight = self._in_flight
        if in_flight is not None and in_flight.commit_no == lineage.group_no:
            return in_flight
        return self._gathering

    def _dirty(self, name: str) -> Inbox:
        """Return the inbox, made if need be, as one that the gathering group writes."""
        inbox = self.inboxes.get(name)
        if inbox is None:
            inbox = self.inboxes[name] = Inbox(name)
        self._gathering.inboxes[name] = inbox
        return inbox


def _ok(segment: m.Segment, start: int, stop: int, pos_first: int, epoch: int) -> m.OkRange:
    n_first = segment.n_first + start
    return m.OkRange(segment.inbox, segment.producer, n_first, stop - start, pos_first, epoch)


def _refuse(segment: m.Segment, code: ErrorCode, expected: int) -> m.RefusedRange:
    return m.RefusedRange(
        segment.inbox, segment.producer, segment.n_first, segment.count, code, expected
    )
