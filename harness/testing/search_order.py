"""Exhaustive search for an order that explains a history: linearizability by its definition.

An operation is an append of one message, or a read "nothing beyond p". An order explains a history
if it puts no operation before one that was complete when it began, and if a list that every append
adds to then has each message at its position, and each read sees its own length. All orders are
tried, with nothing known about positions but what the replay of the list says; so this shares
nothing with the two forms in `harness.checkers.real_time`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.history.records import (
    Completed,
    Delivered,
    DeliveredRun,
    EndRead,
    Invoked,
    Record,
)
from harness.testing.oracle import in_order

OPERATIONS_MAX = 9
"""More operations of one inbox are not searched: the orders of 9 are 362,880."""

Message = tuple[int, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """Something that took effect between two times.

    `rank` is the position of an append; a read of `rank` must come when so many appends are done.
    """

    begun: float
    done: float
    rank: int
    reads: bool


def draw_operations(rng: random.Random) -> list[Record]:
    """Return a history of 2 to 6 operations at random times and places; some end unknown."""
    count = rng.randint(2, 6)
    appends = rng.randint(1, count)
    places = rng.sample(range(appends), appends)
    records: list[Record] = []
    for n, pos in enumerate(places):
        begun, done = sorted(rng.sample(range(12), 2))
        records.append(Invoked(begun, 0, n, "x", 0, 1))
        match rng.choice(("ok", "ok", "info", "delivered", "silent")):
            case "ok":
                records.append(Completed(done, 0, n, "x", 0, 1, "ok", pos, 0, 1, ""))
            case "delivered":
                runs = (DeliveredRun(n, 0, 1, 0, 1, 0),)
                records.append(Delivered(done, "r", "x", n, pos, False, runs))
            case "info":
                records.append(Completed(done, 0, n, "x", 0, 1, "info", -1, 0, 1, ""))
                runs = (DeliveredRun(n, 0, 1, 0, 1, 0),)
                records.append(Delivered(rng.randint(done, 14), "r", "x", n, pos, False, runs))
            case _:
                pass
    for _ in range(count - appends):
        begun, done = sorted(rng.sample(range(12), 2))
        records.append(EndRead(done, begun, "r", "x", rng.randint(-1, appends - 1)))
    return in_order(records)


def append_order_exists(records: Sequence[Record]) -> bool | None:
    """Return whether the appends alone can be ordered; None if there are too many to try."""
    return _search(records, with_reads=False)


def order_exists(records: Sequence[Record]) -> bool | None:
    """Return whether appends and end reads can be ordered; None if there are too many to try."""
    return _search(records, with_reads=True)


def _search(records: Sequence[Record], *, with_reads: bool) -> bool | None:
    by_inbox = _operations(records, with_reads=with_reads)
    if any(len(operations) > OPERATIONS_MAX for operations in by_inbox.values()):
        return None
    return all(_explains(tuple(operations), 0) for operations in by_inbox.values())


def _explains(left: tuple[_Operation, ...], appended: int) -> bool:
    """Return whether some order of what is left goes on from a list of this length."""
    if not left:
        return True
    for index, operation in enumerate(left):
        if any(other.done < operation.begun for other in left if other is not operation):
            continue  # Something that was complete before it began has to come first.
        if operation.rank != appended:
            continue
        rest = left[:index] + left[index + 1 :]
        if _explains(rest, appended if operation.reads else appended + 1):
            return True
    return False


def _operations(records: Sequence[Record], *, with_reads: bool) -> dict[str, list[_Operation]]:
    begun: dict[Message, float] = {}
    done: dict[Message, float] = {}
    places: dict[str, dict[int, Message]] = {}
    ends: list[EndRead] = []
    for record in records:
        match record:
            case Invoked():
                for i in range(record.count):
                    begun[record.producer, record.inbox, record.n_first + i] = record.t_ns
            case Completed(outcome="ok"):
                for i in range(record.count):
                    m = (record.producer, record.inbox, record.n_first + i)
                    done.setdefault(m, record.t_ns)
                    if record.pos_first >= 0:
                        places.setdefault(record.inbox, {})[record.pos_first + i] = m
            case Delivered():
                pos = record.pos_first
                for run in record.runs:
                    for n in range(run.n_first, run.n_first + run.count):
                        m = (run.producer, record.inbox, n)
                        done.setdefault(m, record.t_ns)
                        places.setdefault(record.inbox, {})[pos] = m
                        pos += 1
            case EndRead():
                ends.append(record)
            case _:
                pass
    found: dict[str, list[_Operation]] = {}
    for inbox in {*places, *(end.inbox for end in ends)}:
        held = places.get(inbox, {})
        mine = [end for end in ends if end.inbox == inbox] if with_reads else []
        top = max([*held, *(end.pos for end in mine)], default=-1)
        # Of a position that nobody named, or a message that nobody sent, nothing is known.
        found[inbox] = [
            _Operation(
                begun=begun.get(held[pos], -math.inf) if pos in held else -math.inf,
                done=done.get(held[pos], math.inf) if pos in held else math.inf,
                rank=pos,
                reads=False,
            )
            for pos in range(top + 1)
        ]
        found[inbox] += [
            _Operation(begun=end.t_invoked_ns, done=end.t_ns, rank=end.pos + 1, reads=True)
            for end in mine
        ]
    return found
