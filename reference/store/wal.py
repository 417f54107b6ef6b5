"""Finding a write-ahead log that was damaged in its middle.

SQLite reads a log up to the first frame that does not fit its checksum and takes the rest for what
a power loss left of a commit under way. That is right for the last commit. It would also let go,
without a word, of all commits behind a frame that changed on the disk. But a commit is synced
before the next one begins: behind a torn one nothing of a further commit can lie.

Not told apart from a power loss: damage in the frames of the very last commit of a log that no
core closed. That commit is then taken for one that never happened.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

_HEADER_BYTES: Final = 32
_HEADER: Final = struct.Struct(">I4xI4x8sII")
_FRAME: Final = struct.Struct(">II8sII")
_BIG_ENDIAN_SUMS: Final = 0x377F0683


def damage_in(read: Callable[[int, int], bytes], frames_read: int) -> str:
    """Say what is damaged in a log, "" for nothing.

    Args:
        read: Returns so many bytes of the log from an offset on, fewer at its end.
        frames_read: How many frames SQLite found in it.
    """
    head = read(_HEADER_BYTES, 0)
    if len(head) < _HEADER_BYTES or not any(head):
        return ""
    magic, page_bytes, salts, *sums = _HEADER.unpack(head)
    order = ">" if magic == _BIG_ENDIAN_SUMS else "<"
    before = (sums[0], sums[1])
    if before != _sums(order, (0, 0), head[:24]):
        return "its first 32 bytes do not fit their checksum"
    frame_bytes = _FRAME.size + page_bytes
    at = _HEADER_BYTES + frames_read * frame_bytes
    if frames_read:
        before = _FRAME.unpack(read(_FRAME.size, at - frame_bytes))[3:]
    committed = False
    while len(frame := read(frame_bytes, at)) == frame_bytes:
        at += frame_bytes
        _page, pages, salt, *sums = _FRAME.unpack_from(frame)
        # What an earlier round left has other salts.
        fits = salt == salts and (sums[0], sums[1]) == _sums(
            order, before, frame[:8], frame[_FRAME.size :]
        )
        if fits and committed:
            return f"frame {frames_read + 1} has changed, and commits lie behind it"
        committed |= fits and pages > 0
        before = (sums[0], sums[1])
    return ""


def _sums(order: str, before: tuple[int, int], *pieces: bytes) -> tuple[int, int]:
    """Return a frame's checksums, as SQLite's file format defines them."""
    first, second = before
    for piece in pieces:
        words = struct.unpack(f"{order}{len(piece) // 4}I", piece)
        for at in range(0, len(words), 2):
            first = (first + words[at] + second) & 0xFFFFFFFF
            second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return first, second
