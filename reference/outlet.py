"""One connection's way out: gathers what becomes due while a `Transmit` is under way.

Edge, core and client use the same one. The more waits, the fewer and bigger the messages are that
leave: ranges of several `Ok` become one `Ok`, segments one `BatchSend`, deliveries one `Deliver`,
marks one `CursorAck` or `CursorOk`. Pure: the owner asks `take` for what to transmit and reports
`written` when the driver answered `Written`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from reference.wire import messages as m
from reference.wire.errors import ErrorCode
from reference.wire.limits import SEGMENTS_MAX

PIECE_BYTES: Final = 1024 * 1024
"""About how big one merged message grows; a single item above it still travels alone."""

TRANSMIT_BYTES: Final = 4 * 1024 * 1024
"""About how much leaves as one `Transmit`; the rest waits for its `Written`."""

OUTLET_SOFT_BYTES: Final = 4 * 1024 * 1024
"""Above it (see `Outlet.wants_more`) an owner that can wait offers no more deliveries."""

OUTLET_BYTES_MAX: Final = 64 * 1024 * 1024
"""Above it (see `Outlet.overfull`) the peer is a slow consumer and its connection is closed."""

_ITEM_BYTES = 64
_RUN_BYTES = 32

_MERGED = (m.Ok, m.Refused, m.BatchSend, m.Send, m.Deliver, m.CursorAck, m.CursorOk, m.Superseded)
_UNORDERED = (m.Heartbeat, m.HeartbeatOk)

_Item: TypeAlias = (
    m.OkRange | m.RefusedRange | m.Segment | m.Delivery | m.CursorMark
)  # fmt: skip


class _Group:
    """Items that will leave as one message."""

    __slots__ = ("code", "items", "kind", "size_bytes", "units")

    def __init__(self, kind: type, code: ErrorCode | None) -> None:
        self.kind = kind
        self.code = code
        self.items: list[Any] = []
        self.size_bytes = 0
        self.units = 0

    def message(self) -> m.Message:
        items = tuple(self.items)
        if self.kind is m.BatchSend and len(items) == 1 and items[0].count == 1:
            return m.Send(segment=items[0])
        if self.kind is m.BatchSend:
            return m.BatchSend(segments=items)
        if self.kind is m.Deliver:
            return m.Deliver(deliveries=items)
        if self.kind is m.Superseded:
            assert self.code is not None
            return m.Superseded(items, self.code)
        merged: m.Message = self.kind(items)
        return merged


class Outlet:
    """Gathers the outgoing messages of one connection.

    Guarantees: messages leave in the order in which they were offered, except that a later item
    may join an earlier message of its own kind. It joins only past kinds that do not depend on
    each other (acknowledgements, segments, deliveries, cursor marks, heartbeats) and never past
    anything else, so a refusal, a login reply or an end stays where it was between its neighbours.
    Merged messages hold at most SEGMENTS_MAX items (runs of deliveries counted) and about
    PIECE_BYTES. A single segment of count 1 leaves as `Send`.

    Not guaranteed: a bound. The owner looks at `overfull` after offering and closes the connection
    with SLOW_CONSUMER; an owner that can wait looks at `wants_more` before.
    """

    __slots__ = ("_bytes_max", "_open", "_queue", "_under_way_bytes", "_waiting_bytes", "under_way")

    def __init__(self, bytes_max: int = OUTLET_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._queue: deque[m.Message | _Group] = deque()
        self._open: dict[type, _Group] = {}
        self._waiting_bytes = 0
        self._under_way_bytes = 0
        self.under_way = False
        """A `Transmit` made from `take` was not written yet."""

    @property
    def pending_bytes(self) -> int:
        """About how many bytes wait here or are being written."""
        return self._waiting_bytes + self._under_way_bytes

    @property
    def waiting_bytes(self) -> int:
        """About how many bytes no `take` has given out yet."""
        return self._waiting_bytes

    @property
    def overfull(self) -> bool:
        """More waits than the limit allows: the peer does not read."""
        return self.pending_bytes > self._bytes_max

    @property
    def wants_more(self) -> bool:
        """Less than OUTLET_SOFT_BYTES waits: deliveries may be offered."""
        return self._waiting_bytes < OUTLET_SOFT_BYTES

    def offer(self, message: m.Message) -> None:
        """Take a message; it leaves with the next `take` that has room for it."""
        if not isinstance(message, _MERGED):
            if not isinstance(message, _UNORDERED):
                self._open.clear()
            self._queue.append(message)
            self._waiting_bytes += _message_bytes(message)
            return
        kind: type = type(message)
        code: ErrorCode | None = None
        items: Sequence[_Item]
        match message:
            case m.Send(segment=segment):
                kind, items = m.BatchSend, (segment,)
            case m.BatchSend(segments=segments):
                items = segments
            case m.Deliver(deliveries=deliveries):
                items = deliveries
            case m.Ok(ranges=ok_ranges):
                self._open.pop(m.Refused, None)
                items = ok_ranges
            case m.Refused(ranges=refused_ranges):
                self._open.pop(m.Ok, None)
                items = refused_ranges
            case m.Superseded(marks=marks, code=code):
                self._seal_unless(m.Superseded, code)
                items = marks
            case m.CursorAck(marks=marks) | m.CursorOk(marks=marks):
                items = marks
        for item in items:
            self._add(kind, code, item)

    def take(self) -> tuple[m.Message, ...]:
        """Return the messages to transmit now; none while a transmit is under way."""
        if self.under_way or not self._queue:
            return ()
        messages: list[m.Message] = []
        size_bytes = 0
        while self._queue and (not messages or size_bytes < TRANSMIT_BYTES):
            head = self._queue.popleft()
            if isinstance(head, _Group):
                if self._open.get(head.kind) is head:
                    del self._open[head.kind]
                size_bytes += head.size_bytes
                messages.append(head.message())
            else:
                size_bytes += _message_bytes(head)
                messages.append(head)
        self._waiting_bytes -= size_bytes
        self._under_way_bytes = size_bytes
        self.under_way = True
        return tuple(messages)

    def written(self) -> None:
        """The transmit under way has left."""
        self.under_way = False
        self._under_way_bytes = 0

    def _seal_unless(self, kind: type, code: ErrorCode | None) -> None:
        """Nothing may pass an end of sessions, and only equal codes share a message."""
        group = self._open.get(kind)
        self._open.clear()
        if group is not None and group.code == code:
            self._open[kind] = group

    def _add(self, kind: type, code: ErrorCode | None, item: _Item) -> None:
        size_bytes, units = _item_cost(item)
        group = self._open.get(kind)
        if group is None or (
            group.size_bytes + size_bytes > PIECE_BYTES or group.units + units > SEGMENTS_MAX
        ):
            group = _Group(kind, code)
            self._open[kind] = group
            self._queue.append(group)
        group.items.append(item)
        group.size_bytes += size_bytes
        group.units += units
        self._waiting_bytes += size_bytes


def _item_cost(item: _Item) -> tuple[int, int]:
    match item:
        case m.Segment():
            return item.size_bytes + _ITEM_BYTES + len(item.inbox), 1
        case m.Delivery(runs=runs):
            return (
                item.size_bytes + _ITEM_BYTES + len(item.inbox) + _RUN_BYTES * len(runs),
                max(len(runs), 1),
            )
        case _:
            return _ITEM_BYTES + len(item.inbox), 1


def _message_bytes(message: m.Message) -> int:
    """About what a message that is never merged costs in memory and on the wire."""
    match message:
        case m.InspectOk(rows=rows):
            return _ITEM_BYTES + sum(_ITEM_BYTES + len(r.offsets) + len(r.ids) for r in rows)
        case m.PresenceOk(entries=entries):
            return _ITEM_BYTES * (1 + len(entries))
        case m.Resume(marks=marks):
            return _ITEM_BYTES * (1 + len(marks))
        case m.Login(inboxes=inboxes):
            return _ITEM_BYTES * (1 + len(inboxes))
        case m.LoginOk(durable=durable):
            return _ITEM_BYTES + 9 * len(durable)
        case _:
            return _ITEM_BYTES
