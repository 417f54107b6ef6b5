"""The words with which a link of the reference is probed are words of its protocol."""

from __future__ import annotations

from harness.systems.reference.probe import PING, heavy_ping
from reference.wire.frames import FrameParser, encode
from reference.wire.messages import Heartbeat, HeartbeatOk


def test_a_ping_is_answered_with_as_many_bytes() -> None:
    assert list(FrameParser().feed(PING)) == [Heartbeat(0)]
    assert len(b"".join(encode(HeartbeatOk(0)))) == len(PING)


def test_a_ping_of_any_size_is_one_heartbeat() -> None:
    for size_bytes in (1, 1_000, 512 * 1024, 4 * 1024 * 1024):
        ping = heavy_ping(size_bytes)
        assert len(ping) >= min(size_bytes, 1_000_000)
        assert list(FrameParser().feed(ping)) == [Heartbeat(0)]
