"""A sender that reconnects sends what is unanswered under a fresh producer id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from reference.client.outcomes import SenderOutput
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import Event, Received, Transmit
from reference.node import sender_client
from reference.wire import messages as m


class RenamingSender:
    """A sender whose ids on the wire change with every connection but the first.

    Its application sees the ids that it gave; what is not replaced here is the real sender's.
    """

    def __init__(self, settings: SenderSettings) -> None:
        self._inner = SenderMachine(settings)
        self._producer = settings.producer
        self._alias = settings.producer
        self._base: dict[str, int] = {}
        self._connections = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect(self, now_ns: int) -> list[SenderOutput]:
        """Take a fresh id, under which everything unanswered is numbered from 0."""
        if self._connections:
            self._alias = (self._producer + self._connections) % 2**64
            self._base = {
                lane.inbox: (
                    [*lane.flying, *lane.waiting][0].segment.n_first
                    if lane.flying or lane.waiting
                    else lane.acked
                )
                for lane in self._inner._lanes.values()
            }
        self._connections += 1
        return self._renamed(self._inner.connect(now_ns))

    def submit(self, segment: m.Segment, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.submit`."""
        return self._renamed(self._inner.submit(segment, now_ns))

    def handle(self, event: Event, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.handle`, with the ids of the wire turned into the application's."""
        if isinstance(event, Received):
            event = Received(conn=event.conn, message=self._understood(event.message))
        return self._renamed(self._inner.handle(event, now_ns))

    def _understood(self, message: m.Message) -> m.Message:
        match message:
            case m.Ok(ranges=ranges):
                return m.Ok(tuple(self._own(r) for r in ranges))
            case m.Refused(ranges=refused):
                return m.Refused(
                    tuple(
                        msgspec.structs.replace(
                            self._own(r),
                            expected=r.expected + self._base.get(r.inbox, 0)
                            if r.expected >= 0
                            else -1,
                        )
                        for r in refused
                    )
                )
            case m.LoginOk(durable=durable):
                asked = self._inner._login or ()
                known = tuple(
                    n + self._base.get(inbox, 0) for inbox, n in zip(asked, durable, strict=True)
                )
                return msgspec.structs.replace(message, durable=known)
            case _:
                return message

    def _own(self, answered: Any) -> Any:
        if answered.producer != self._alias:
            return answered
        n_first = answered.n_first + self._base.get(answered.inbox, 0)
        return msgspec.structs.replace(answered, producer=self._producer, n_first=n_first)

    def _renamed(self, outputs: Iterable[SenderOutput]) -> list[SenderOutput]:
        return [
            replace(output, messages=tuple(map(self._said, output.messages)))
            if isinstance(output, Transmit)
            else output
            for output in outputs
        ]

    def _said(self, message: m.Message) -> m.Message:
        match message:
            case m.Login():
                return msgspec.structs.replace(message, producer=self._alias)
            case m.Send(segment=segment):
                return m.Send(segment=self._wired(segment))
            case m.BatchSend(segments=segments):
                return m.BatchSend(segments=tuple(map(self._wired, segments)))
            case _:
                return message

    def _wired(self, segment: m.Segment) -> m.Segment:
        n_first = segment.n_first - self._base.get(segment.inbox, 0)
        return replace(segment, producer=self._alias, n_first=n_first)


BUG = PlantedBug(
    name="resend-under-new-id",
    summary="After a reconnect a batch is sent again under another id, so it is stored twice.",
    category=Category.DUPLICATE,
    place=Place.CLIENT,
    replaces="the client's sender",
    named_by=("A3",),
    trial=Trial(scenario="churn"),
    patches=(Patch(owner=sender_client, name="SenderMachine", replacement=RenamingSender),),
)
