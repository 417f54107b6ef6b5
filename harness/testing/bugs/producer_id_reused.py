"""A producer that lost its outbox goes on with its old id, numbering from 0 again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from harness.testing.bugs.registry import Category, Patch, Place, PlantedBug, Trial
from harness.testing.simulator.plan import Action
from reference.client.outcomes import (
    Acknowledged,
    LineageLost,
    Rejected,
    SenderOutcome,
    SenderOutput,
    Unresolved,
)
from reference.client.sender import SenderMachine, SenderSettings
from reference.events import Event, Received
from reference.node import sender_client
from reference.wire.messages import LoginOk, Segment

T = TypeVar("T", SenderOutput, SenderOutcome)


class ForgetfulSender:
    """A sender whose messages go out under the producer id of an earlier life.

    What the core says it has of that id is not looked at: this outbox believes to be a new one.
    """

    def __init__(self, settings: SenderSettings, before: SenderSettings) -> None:
        self._producer = settings.producer
        self._before = before.producer
        # It is still the user whose id it was.
        inner = replace(settings, producer=before.producer, token=before.token)
        self._inner = SenderMachine(inner)

    def connect(self, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.connect`."""
        return self._named(self._inner.connect(now_ns))

    def disconnect(self, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.disconnect`."""
        return self._named(self._inner.disconnect(now_ns))

    def submit(self, segment: Segment, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.submit`."""
        return self._named(self._inner.submit(replace(segment, producer=self._before), now_ns))

    def abandon(self) -> list[SenderOutcome]:
        """As `SenderMachine.abandon`."""
        return self._named(self._inner.abandon())

    def due_ns(self) -> int:
        """As `SenderMachine.due_ns`."""
        return self._inner.due_ns()

    def ended(self, inbox: str) -> bool:
        """As `SenderMachine.ended`."""
        return self._inner.ended(inbox)

    @property
    def lost(self) -> bool:
        """As `SenderMachine.lost`."""
        return self._inner.lost

    def handle(self, event: Event, now_ns: int) -> list[SenderOutput]:
        """As `SenderMachine.handle`, but blind for what was durable before."""
        match event:
            case Received(conn=conn, message=LoginOk() as reply):
                inboxes = self._inner._login or ()
                lanes = self._inner._lanes
                durable = tuple(
                    min(count, lanes[inbox].sent_end)
                    for inbox, count in zip(inboxes, reply.durable, strict=True)
                )
                login_ok = LoginOk(
                    reply.request,
                    reply.session,
                    reply.cursor,
                    reply.next_pos,
                    durable,
                    reply.credit_bytes,
                )
                event = Received(conn=conn, message=login_ok)
        return self._named(self._inner.handle(event, now_ns))

    def _named(self, outputs: Sequence[T]) -> list[T]:
        """Return the outputs under the id that the application knows."""
        named: list[T] = []
        for output in outputs:
            if isinstance(output, Acknowledged | Rejected | Unresolved | LineageLost):
                output = replace(output, producer=self._producer)
            named.append(output)
        return named


class Reincarnated:
    """What senders of a load process become: the first lends its id to all that come later."""

    def __init__(self) -> None:
        self._first: SenderSettings | None = None

    def __call__(self, settings: SenderSettings) -> SenderMachine | ForgetfulSender:
        """Make a sender."""
        if self._first is None:
            self._first = settings
            return SenderMachine(settings)
        return ForgetfulSender(settings, self._first)


def make_sender() -> Callable[[SenderSettings], SenderMachine | ForgetfulSender]:
    """Return a factory that remembers the first producer id of each sender's name."""
    first: dict[str, SenderSettings] = {}

    def make(settings: SenderSettings) -> SenderMachine | ForgetfulSender:
        if settings.name in first:
            return ForgetfulSender(settings, first[settings.name])
        first[settings.name] = settings
        return SenderMachine(settings)

    return make


BUG = PlantedBug(
    name="producer-id-reused",
    summary="New messages go out under ids that older messages have.",
    category=Category.LOSS,
    place=Place.CLIENT,
    replaces="the client's sender",
    named_by=("A1", "A3", "A5"),
    trial=Trial(scenario="two_lives"),
    focus=(Action.SENDER_CRASHES,),
    make_sender=make_sender,
    patches=(Patch(owner=sender_client, name="SenderMachine", replacement=Reincarnated()),),
)
