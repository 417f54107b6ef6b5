"""Writes for tests of stores: one producer, one inbox, bodies that say which they are."""

from __future__ import annotations

import numpy as np

from harness.testing.core_script import texts
from reference.events import Append, InboxMark, ProducerMark, Writes
from reference.wire.messages import Run


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
