"""`index.json`: which segments a finished history has, and what they weigh."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from harness.errors import DamagedHistory
from harness.history.segment import SCHEMA, SCHEMAS, Header, SegmentParser

INDEX_NAME = "index.json"
"""The file that lists a history's segments, beside them."""

SEGMENT_GLOB = "[0-9][0-9][0-9][0-9].msgpack"
"""The names of segments."""

READ_BYTES = 1 << 20
"""How much of a file is read at a time."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One segment as the index lists it. `closed` is "orderly" or "killed"."""

    file: str
    recorder: str
    records: int
    bytes: int
    sha256: str
    closed: str


class HistoryIndex(msgspec.Struct, frozen=True, kw_only=True):
    """`index.json`: all segments of a finished history."""

    schema: str
    run: str
    segments: list[Segment]


def write_index(folder: Path, killed: Collection[str] = ()) -> HistoryIndex:
    """List the segments of a finished history in its `index.json`, and return the list.

    Args:
        folder: The history's folder.
        killed: Names of the recorders whose process was killed; only theirs may lack a trailer.

    Raises:
        DamagedHistory: A segment is damaged, or ends early though its recorder was not killed.
    """
    segments = []
    runs = set()
    for path in sorted(folder.glob(SEGMENT_GLOB)):
        header, records, orderly = measure_segment(path)
        if not orderly and header.recorder not in killed:
            raise DamagedHistory(
                f"{path}: has no trailer, and recorder {header.recorder} was not killed"
            )
        runs.add(header.run)
        segments.append(
            Segment(
                file=path.name,
                recorder=header.recorder,
                records=records,
                bytes=path.stat().st_size,
                sha256=sha256_of(path),
                closed="orderly" if orderly else "killed",
            )
        )
    if len(runs) > 1:
        raise DamagedHistory(f"{folder}: segments of several runs: {', '.join(sorted(runs))}")
    index = HistoryIndex(schema=SCHEMA, run=runs.pop() if runs else "", segments=segments)
    partial = folder / f"{INDEX_NAME}.part"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(index), indent=2) + b"\n")
    partial.replace(folder / INDEX_NAME)
    return index


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_index(folder: Path) -> HistoryIndex:
    """Return the index of a finished history.

    Raises:
        DamagedHistory: There is none, or it is not of this schema.
    """
    try:
        index = msgspec.json.decode((folder / INDEX_NAME).read_bytes(), type=HistoryIndex)
    except FileNotFoundError as error:
        raise DamagedHistory(f"{folder} has no {INDEX_NAME}: the run was cut off") from error
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise DamagedHistory(f"{folder / INDEX_NAME}: {error}") from error
    if index.schema not in SCHEMAS:
        raise DamagedHistory(f"{folder / INDEX_NAME}: schema {index.schema!r}, not {SCHEMA!r}")
    return index


def verify(folder: Path) -> HistoryIndex:
    """Return the index of a finished history once the files are those that it lists.

    Whether they hold what it says of them shows when they are read (`differs`).

    Raises:
        DamagedHistory: A segment is missing, unlisted or altered.
    """
    index = read_index(folder)
    listed = {segment.file: segment for segment in index.segments}
    present = {path.name for path in folder.glob(SEGMENT_GLOB)}
    if present != set(listed):
        odd = ", ".join(sorted(present ^ set(listed)))
        raise DamagedHistory(f"{folder}: index and files do not agree about {odd}")
    for name, segment in listed.items():
        if sha256_of(folder / name) != segment.sha256:
            raise DamagedHistory(
                f"{folder / name}: was altered after the run (its SHA-256 differs)"
            )
    return index


def differs(index: HistoryIndex, segment: Segment, read: SegmentParser) -> str:
    """Return in what a segment that was read to its end is not what the index says, "" if it is."""
    if read.header is None:
        # A recorder that was killed at once has not even written its header.
        header = Header(run=index.run, recorder=segment.recorder, schema=index.schema)
    else:
        header = read.header
    if header.schema != index.schema:
        return f"is of schema {header.schema!r}, and the index of {index.schema!r}"
    if header.run != index.run:
        return f"is of run {header.run!r}, and the index of run {index.run!r}"
    closed = "orderly" if read.orderly else "killed"
    said = (segment.recorder, segment.records, segment.closed)
    found = (header.recorder, read.record_count, closed)
    names = ("recorder", "records", "closed")
    return ", ".join(
        f"{name} is {here!r}, and {there!r} in the index"
        for name, here, there in zip(names, found, said, strict=True)
        if here != there
    )


def measure_segment(path: Path) -> tuple[Header, int, bool]:
    """Return (header, records, closed in order) of a segment that may be torn.

    Raises:
        DamagedHistory: It is damaged otherwise, or lacks even its header.
    """
    parser = SegmentParser(path.name)
    for data in read_pieces(path):
        parser.feed(data)
    parser.finish(allow_torn=True)
    if parser.header is None:
        return Header(run="", recorder=""), 0, False
    return parser.header, parser.record_count, parser.orderly


def read_pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces.

    Raises:
        DamagedHistory: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            while data := file.read(READ_BYTES):
                yield data
    except OSError as error:
        raise DamagedHistory(f"{path}: {error}") from error
