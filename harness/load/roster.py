"""Who takes part in a run: every sender and receiver with its edge, group and load process.

Pure: the same plan and seed give the same roster, whatever machine it runs on.
"""

from __future__ import annotations

import random

import msgspec

from harness.load.groups import Groups, extra_name, reader_name, sender_name
from harness.scenario.extras import Extra, Moves
from harness.scenario.phases import DEVICE, Stream

RECUT_EVERY = 3
"""One sender in so many sends again in other batches than at first, where that is drawn."""

SPREAD_SHARE = 0.8
"""Share of a load's time over which what was drawn is due, so that all of it is sent."""


class SenderSeat(msgspec.Struct, frozen=True, kw_only=True):
    """One sender of one stream. `rate_per_s` is its own share in messages per second.

    One with `batches` was drawn (`harness.scenario.extras`): it has no rate, but these batches, one
    every `period_s`, to its `inboxes` in turn, of which `inbox` is the first. Without `churns`
    nobody cuts it; with `leaves` it goes when all that it sent is answered. Where `recut_count` is
    not 0, it sends again what a lost connection left unanswered in batches of so many at most. One
    with `between` moves from one of these edges to the next every `move_every_s`, until all that it
    sends is answered.
    """

    name: str
    producer: int
    inbox: str
    edge: str
    group: str
    rate_per_s: float
    count: int
    batch_count: int
    offset_s: float
    inboxes: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    period_s: float = 0.0
    churns: bool = True
    leaves: bool = False
    recut_count: int = 0
    between: tuple[str, ...] = ()
    move_every_s: float = 0.0


class ReaderSeat(msgspec.Struct, frozen=True, kw_only=True):
    """One receiver of one inbox; with `audit` it reads again what another has read before.

    One with `between` moves as a sender does, until the worker is told otherwise.
    """

    reader: str
    inbox: str
    edge: str
    group: str
    audit: bool = False
    between: tuple[str, ...] = ()
    move_every_s: float = 0.0


def seat_senders(
    streams: tuple[Stream, ...],
    edges: tuple[str, ...],
    worker_count: int,
    rng: random.Random,
    groups: Groups,
    serial_first: int = 0,
    recut_count: int = 0,
) -> list[list[SenderSeat]]:
    """Return the senders of each load process, spread evenly over edges and processes.

    One in `RECUT_EVERY` sends again in batches of at most `recut_count`, unless that is 0.

    A producer id is a fresh 64-bit number: an id belongs to one outbox, and the phase that asks
    for senders makes new outboxes. The first load process has the number 1.
    """
    seats: list[list[SenderSeat]] = [[] for _ in range(worker_count)]
    serial = serial_first
    for stream in streams:
        for index in range(stream.producers):
            worker = serial % worker_count
            rate = stream.rate_per_s / stream.producers
            period_s = stream.batch_count / rate if rate else 0.0
            seats[worker].append(
                SenderSeat(
                    name=sender_name(serial),
                    producer=rng.getrandbits(64),
                    inbox=stream.to[index % len(stream.to)],
                    edge=edges[serial % len(edges)],
                    group=groups.of(sender_name(serial), worker + 1),
                    rate_per_s=rate,
                    count=stream.count,
                    batch_count=stream.batch_count,
                    offset_s=rng.uniform(0.0, period_s),
                    recut_count=0 if serial % RECUT_EVERY else recut_count,
                )
            )
            serial += 1
    return seats


def seat_extras(
    extras: tuple[Extra, ...],
    edges: tuple[str, ...],
    worker_count: int,
    rng: random.Random,
    groups: Groups,
    span_s: float,
    serial_first: int = 0,
    recut_count: int = 0,
) -> list[list[SenderSeat]]:
    """Return the senders that were drawn, of each load process; all is due within `span_s`."""
    seats: list[list[SenderSeat]] = [[] for _ in range(worker_count)]
    serial = serial_first
    for extra in extras:
        for producer in extra.producers:
            worker = serial % worker_count
            period_s = SPREAD_SHARE * span_s / len(extra.batches)
            seats[worker].append(
                SenderSeat(
                    name=extra_name(serial),
                    producer=producer,
                    inbox=extra.to[0],
                    edge=edges[serial % len(edges)],
                    between=extra.moves.between if extra.moves else (),
                    move_every_s=extra.moves.every_s if extra.moves else 0.0,
                    group=groups.of(extra_name(serial), worker + 1),
                    rate_per_s=0.0,
                    count=sum(extra.batches),
                    batch_count=max(extra.batches),
                    offset_s=rng.uniform(0.0, period_s),
                    inboxes=extra.to,
                    batches=extra.batches,
                    period_s=period_s,
                    churns=extra.churns,
                    leaves=extra.leaves,
                    recut_count=0 if serial % RECUT_EVERY else recut_count,
                )
            )
            serial += 1
    return seats


def seat_readers(
    inboxes: tuple[str, ...],
    edges: tuple[str, ...],
    edge: str,
    groups: Groups,
    device: str = DEVICE,
    moves: Moves | None = None,
) -> list[ReaderSeat]:
    """Return one reader per inbox, at `edge` or spread over all edges, in the last process."""
    return [
        ReaderSeat(
            reader=reader_name(inbox, device),
            inbox=inbox,
            edge=edge or edges[index % len(edges)],
            group=groups.of(reader_name(inbox, device), groups.processes),
            between=moves.between if moves else (),
            move_every_s=moves.every_s if moves else 0.0,
        )
        for index, inbox in enumerate(inboxes)
    ]
