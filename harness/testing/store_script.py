"""Writes for tests of stores, and what a store shows of itself, to compare it with another."""

from __future__ import annotations

import random

import numpy as np

from harness.testing.core_script import texts
from harness.testing.memory_store import MemoryStore
from reference.events import Append, EpochMark, InboxMark, ProducerMark, Recovered, Writes
from reference.store.port import Store
from reference.wire.messages import Run, StoredRow


def writes_of(
    inbox: str,
    pos_first: int,
    count: int,
    *,
    epoch: int,
    bucket_count: int,
    bodies: list[bytes] | None = None,
) -> Writes:
    """Return what a core commits for one batch of producer 7, whose n are the positions."""
    bodies = texts(pos_first, count) if bodies is None else bodies
    append = Append(
        inbox=inbox,
        pos_first=pos_first,
        epoch=epoch,
        bucket_count=bucket_count,
        runs=(Run(7, pos_first, count, epoch, bucket_count),),
        lengths=np.array([len(body) for body in bodies], dtype="<u4").tobytes(),
        body=b"".join(bodies),
    )
    n_next = pos_first + count
    return Writes(
        appends=(append,),
        producers=(
            ProducerMark(
                producer=7, inbox=inbox, n_next=n_next, last_first=pos_first, last_digest=n_next
            ),
        ),
        inboxes=(InboxMark(inbox=inbox, pos_next=n_next, cursor=-1, session=0, floor=0),),
    )


def next_writes(rng: random.Random, model: MemoryStore) -> Writes:
    """Return some commit that a core could make next, with several inboxes, epochs and trims.

    Args:
        rng: Chooses everything, bodies included.
        model: A store that holds what was committed before.
    """
    appends: list[Append] = []
    inboxes: list[InboxMark] = []
    producers: list[ProducerMark] = []
    epochs: list[EpochMark] = []
    trims: list[tuple[str, int]] = []
    for inbox in rng.sample(("vip", "b", "ü"), rng.randint(1, 3)):
        old = model.inboxes.get(inbox)
        pos_next = old.pos_next if old else 0
        cursor = old.cursor if old else -1
        begun = [mark for mark in model.epochs if mark.inbox == inbox]
        epoch, bucket_count = (begun[-1].epoch, begun[-1].bucket_count) if begun else (0, 1)
        for _ in range(rng.randint(0, 2)):
            if rng.random() < 0.2:
                epoch, bucket_count = epoch + 1, rng.choice((1, 3, 20))
                epochs.append(
                    EpochMark(
                        inbox=inbox, epoch=epoch, bucket_count=bucket_count, pos_first=pos_next
                    )
                )
            count = rng.randint(1, 30)
            size = rng.choice((0, 10, 100, 2_000))
            bodies = [rng.randbytes(rng.randint(0, size)) for _ in range(count)]
            made = writes_of(
                inbox, pos_next, count, epoch=epoch, bucket_count=bucket_count, bodies=bodies
            )
            appends += made.appends
            producers = [p for p in producers if p.inbox != inbox] + list(made.producers)
            pos_next += count
        if rng.random() < 0.3 and cursor < pos_next - 1:
            cursor = rng.randint(cursor, pos_next - 1)
            trims.append((inbox, cursor))
        session = (old.session if old else 0) + rng.randint(0, 1)
        inboxes.append(
            InboxMark(
                inbox=inbox, pos_next=pos_next, cursor=cursor, session=session, floor=cursor + 1
            )
        )
    return Writes(
        appends=tuple(appends),
        producers=tuple(producers),
        inboxes=tuple(inboxes),
        epochs=tuple(epochs),
        trims=tuple(trims),
    )


def contents(store: Store, recovered: Recovered) -> dict[str, object]:
    """Return everything that a store shows of itself, in a form that two stores can share."""
    found: dict[str, object] = {
        "producers": sorted(recovered.producers, key=lambda mark: (mark.producer, mark.inbox)),
        "inboxes": sorted(recovered.inboxes, key=lambda mark: mark.inbox),
        "epochs": list(recovered.epochs),
    }
    for mark in recovered.inboxes:
        found[f"log of {mark.inbox}"] = store.read(mark.inbox, 0, mark.pos_next, 2**40)
        key, more, rows = (-1, -1), True, list[StoredRow]()
        while more:
            page, more = store.rows(mark.inbox, *key)
            rows += page
            key = (rows[-1].pos_first, rows[-1].bucket) if rows else key
        found[f"rows of {mark.inbox}"] = rows
    return found
