"""An edge that cuts what it sends again otherwise: every message once, in order."""

from __future__ import annotations

import pytest

from harness.testing.recutting import link_lost_and_recut
from reference.edge.buffer import Holding, ResendBuffer
from reference.wire.messages import OkRange, Segment

CREDIT_BYTES = 1 << 20


def batch(n_first: int, count: int) -> Segment:
    body = bytes(range(n_first, n_first + count))
    lengths = (1).to_bytes(4, "little") * count
    return Segment(
        inbox="vip", producer=7, n_first=n_first, count=count, lengths=lengths, body=body
    )


def test_what_was_sent_comes_again_in_halves_and_the_rest_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ResendBuffer, "link_lost", link_lost_and_recut)
    buffer, holding = ResendBuffer(), Holding()
    buffer.add(batch(0, 5), holding)
    buffer.add(batch(5, 1), holding)
    assert [one.count for one in buffer.send(CREDIT_BYTES)] == [5, 1]
    buffer.add(batch(6, 4), holding)
    buffer.link_lost()
    again = list(buffer.send(CREDIT_BYTES))
    assert [(one.n_first, one.count) for one in again] == [(0, 2), (2, 3), (5, 1), (6, 4)]
    assert b"".join(one.body for one in again) == bytes(range(10))
    buffer.acknowledged(OkRange("vip", 7, 0, 10, -1, -1))
    assert (buffer.size_bytes, buffer.sent_bytes, holding.memory_bytes) == (0, 0, 0)
