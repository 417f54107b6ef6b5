"""Whatever bytes come, a parser yields messages or raises `RemoteProtocolError`, nothing else."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.testing.wire_examples import EXAMPLES, to_bytes
from reference.wire import messages as m
from reference.wire.errors import RemoteProtocolError
from reference.wire.frames import FrameParser
from reference.wire.limits import FRAME_BYTES_MAX
from reference.wire.opcodes import Opcode

EXAMPLE_BYTES = [to_bytes(message) for message in EXAMPLES]
SLACK_BYTES = 256 * 1024


def feed_in_pieces(data: bytes, size: int) -> tuple[list[m.Message], RemoteProtocolError | None]:
    """Return what came out, and the error that ended it; any other exception passes through."""
    parser = FrameParser()
    seen: list[m.Message] = []
    for at in range(0, len(data), size):
        try:
            seen.extend(parser.feed(data[at : at + size]))
        except RemoteProtocolError as error:
            return seen, error
        assert parser.held_bytes <= FRAME_BYTES_MAX + 4
    return seen, None


@settings(derandomize=True, deadline=None, max_examples=500)
@given(data=st.binary(max_size=200), size=st.integers(1, 50))
@example(data=b"", size=1)
def test_random_bytes(data: bytes, size: int) -> None:
    feed_in_pieces(data, size)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(
    opcode=st.sampled_from(Opcode),
    header=st.binary(max_size=60),
    columns=st.binary(max_size=40),
    cheat=st.sampled_from((0, 0, 0, -1, 1)),
)
def test_random_headers_in_good_frames(
    opcode: Opcode, header: bytes, columns: bytes, cheat: int
) -> None:
    rest = bytes([opcode]) + (len(header) + cheat).to_bytes(4, "little", signed=True)
    rest += header + columns
    feed_in_pieces(len(rest).to_bytes(4, "little") + rest, 1000)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_frames(seed: int) -> None:
    """Bytes flipped, cut, doubled and inserted in valid frames, and what holds of the survivors."""
    rng = random.Random(seed)
    refused = 0
    for _ in range(1500):
        data = bytearray(rng.choice(EXAMPLE_BYTES) + rng.choice(EXAMPLE_BYTES))
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(data))
            match rng.randrange(5):
                case 0:
                    data[at] ^= 1 << rng.randrange(8)
                case 1:
                    data[at] = rng.choice((0x00, 0x7F, 0x80, 0xC0, 0xCF, 0xD3, 0xDD, 0xFF))
                case 2:
                    del data[at : at + rng.randrange(1, 9)]
                case 3:
                    data[at:at] = data[at : at + rng.randrange(1, 9)]
                case 4:
                    data[at:at] = rng.randbytes(rng.randrange(1, 9))
            if not data:
                break
        whole = bytes(data)
        seen, error = feed_in_pieces(whole, max(1, len(whole)))
        refused += error is not None
        again, error_again = feed_in_pieces(whole, rng.randrange(1, 40))
        # How the stream is cut changes neither the messages nor the error.
        assert again == seen
        assert (error and (error.code, error.detail)) == (
            error_again and (error_again.code, error_again.detail)
        )
        for message in seen:
            assert feed_in_pieces(to_bytes(message), 4096) == ([message], None)
    assert 300 < refused < 1500


@pytest.mark.parametrize("size", [1, 7, 4095, 4096, 65536])
def test_memory_is_bounded_by_one_frame_however_it_is_cut(size: int) -> None:
    """A peer that begins the largest frame and sends it in tiny pieces costs no multiple of it."""
    fed_bytes = 50_000 * size if size < 4095 else FRAME_BYTES_MAX
    head = FRAME_BYTES_MAX.to_bytes(4, "little") + bytes([Opcode.BATCH_SEND])
    parser = FrameParser()
    piece = bytes(size)
    tracemalloc.start()
    try:
        assert list(parser.feed(head)) == []
        for _ in range((fed_bytes - len(head)) // size):
            # A fresh object each time, as a socket gives.
            assert list(parser.feed(bytes(bytearray(piece)))) == []
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.held_bytes <= fed_bytes
    assert held_bytes < 1.25 * fed_bytes + SLACK_BYTES


def test_an_error_lets_go_of_what_was_held() -> None:
    parser = FrameParser()
    bad = b"\xff" * 100_000
    with pytest.raises(RemoteProtocolError):
        list(parser.feed(bad))
    assert parser.held_bytes == 0
    with pytest.raises(RemoteProtocolError):
        parser.feed(bad)
    assert parser.held_bytes == 0
