"""A message as it lies in a broker: its id, then its body.

Brokers number messages themselves and know nothing of (producer, n), so the id travels inside.
Identity and content of everything that comes back are then judged, not assumed. One object per
message is what every broker's client library costs anyway; from here on there are columns again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.systems.port import Batch, Delivery, RunOfMessages

_ID = struct.Struct("<QQ")

ID_BYTES = _ID.size
"""Bytes of every stored message that are its id and no part of its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Stored messages at consecutive positions, oldest first, as they lie in the broker."""

    pos_first: int
    messages: Sequence[bytes]


def pack(batch: Batch, index_first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (n, stored message) for the messages of a batch from an index on."""
    lengths = memoryview(batch.lengths).cast("I")
    at = sum(lengths[:index_first])
    for index in range(index_first, batch.count):
        n = batch.n_first + index
        end = at + lengths[index]
        yield n, _ID.pack(batch.producer, n) + batch.body[at:end]
        at = end


def split(messages: Iterable[tuple[int, bytes]]) -> list[Piece]:
    """Return (position, stored message) pairs as pieces of consecutive positions."""
    pieces: list[Piece] = []
    run: list[bytes] = []
    first = expected = -1
    for pos, message in messages:
        if pos != expected and run:
            pieces.append(Piece(pos_first=first, messages=run))
            run = []
        if not run:
            first = pos
        run.append(message)
        expected = pos + 1
    if run:
        pieces.append(Piece(pos_first=first, messages=run))
    return pieces


def unpack(inbox: str, session: int, piece: Piece) -> Delivery:
    """Return a delivery of stored messages.

    What is too short to hold an id comes as message 0 of producer 0, whose content is then wrong.
    """
    runs: list[RunOfMessages] = []
    lengths: list[int] = []
    bodies: list[bytes] = []
    producer, n_first, count = -1, 0, 0
    for message in piece.messages:
        whole = len(message) >= ID_BYTES
        of, n = _ID.unpack_from(message) if whole else (0, 0)
        body = message[ID_BYTES:] if whole else message
        if of == producer and n == n_first + count:
            count += 1
        else:
            if count:
                runs.append(RunOfMessages(producer=producer, n_first=n_first, count=count))
            producer, n_first, count = of, n, 1
        lengths.append(len(body))
        bodies.append(body)
    if count:
        runs.append(RunOfMessages(producer=producer, n_first=n_first, count=count))
    return Delivery(
        inbox=inbox,
        session=session,
        pos_first=piece.pos_first,
        redelivered=False,
        runs=runs,
        lengths=struct.pack(f"<{len(lengths)}I", *lengths),
        body=b"".join(bodies),
    )
