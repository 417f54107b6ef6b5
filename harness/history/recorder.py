"""Writes one segment of a history: what one process of the harness saw.

A segment is a sequence of msgpack objects. First comes a header map ``{schema, run, recorder}``,
then chunks ``[number, crc, payload]``. A payload is a msgpack array of records; the payload of the
last chunk is a map instead, the trailer ``{records, kinds}``, and stands only in a segment that was
closed in order. The crc is zlib's CRC-32 of the payload, begun with the crc of the chunk before it
(with that of the header for the first): a chunk that was removed, doubled, moved or altered breaks
the chain from there on.

One recorder belongs to one thread. Its records are in the order of their times but for
ORDER_SLACK_NS; the reader puts them right within that slack.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.errors import HarnessError
from harness.history.records import Record, Watermark
from harness.history.segment import CHUNK_BYTES_MAX, ORDER_SLACK_NS, SCHEMA

BUFFER_RECORDS_MAX = 512
"""So many records wait at most before they are written without being asked for."""


class Recorder:
    """Appends records to a new segment.

    What `write_now` has returned from is in the operating system's hands: it survives a SIGKILL of
    this process, though not a loss of power.

    Args:
        path: The segment, which must not exist.
        run_id: The run's id; all segments of a history have the same.
        name: Which recorder this is, unique in the run.

    Raises:
        HarnessError: The file cannot be made.
    """

    def __init__(self, path: Path, run_id: str, name: str) -> None:
        self.path = path
        self.name = name
        self.record_count = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._pending: list[Record] = []
        self._kinds: Counter[str] = Counter()
        self._number = 0
        self._newest_ns = 0
        self._closed = False
        header = self._encode({"schema": SCHEMA, "run": run_id, "recorder": name})
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise HarnessError(f"history segment {path} cannot be made: {error}") from error
        self._crc = zlib.crc32(header)
        self._put(header)

    def write(self, record: Record) -> None:
        """Take a record; it reaches the file with the next flush, or when the buffer is full."""
        self._pending.append(record)
        if len(self._pending) >= BUFFER_RECORDS_MAX:
            self.flush()

    def write_now(self, records: Sequence[Record]) -> None:
        """Write these records, after everything that waits, before returning.

        Raises:
            HarnessError: As `flush`.
        """
        self._pending.extend(records)
        self.flush()

    def beat(self, now_ns: int) -> None:
        """Promise that nothing older comes, so that a live view need not wait for this recorder."""
        self.write_now((Watermark(t_ns=now_ns),))

    def flush(self) -> None:
        """Write what waits, as one chunk with one call to the operating system.

        Raises:
            HarnessError: The disk refused it, a record is larger than CHUNK_BYTES_MAX, or times
                run backwards by more than ORDER_SLACK_NS.
        """
        records = self._pending
        if not records:
            return
        if self._closed:
            raise HarnessError(f"history segment {self.path}: written to after its close")
        for record in records:
            t_ns = record.t_ns
            if t_ns > self._newest_ns:
                self._newest_ns = t_ns
            elif t_ns < self._newest_ns - ORDER_SLACK_NS:
                raise HarnessError(f"history segment {self.path}: time runs backwards at {record}")
            self._kinds[type(record).__name__] += 1
        self._pending = []
        self.record_count += len(records)
        self._write_chunks(records)

    def close(self) -> None:
        """Write what waits and the trailer; the segment is then complete. Idempotent."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        self._write_payload(
            self._encode({"records": self.record_count, "kinds": dict(self._kinds)})
        )
        os.close(self._fd)

    def _write_chunks(self, records: list[Record]) -> None:
        payload = self._encode(records)
        if len(payload) <= CHUNK_BYTES_MAX:
            self._write_payload(payload)
            return
        if len(records) == 1:
            raise HarnessError(
                f"history segment {self.path}: a {type(records[0]).__name__} record of "
                f"{len(payload)} bytes is larger than {CHUNK_BYTES_MAX}"
            )
        half = len(records) // 2
        self._write_chunks(records[:half])
        self._write_chunks(records[half:])

    def _write_payload(self, payload: bytes) -> None:
        self._crc = zlib.crc32(payload, self._crc)
        self._put(self._encode((self._number, self._crc, payload)))
        self._number += 1

    def _put(self, data: bytes) -> None:
        try:
            done = os.write(self._fd, data)
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            raise HarnessError(f"history segment {self.path} cannot be written: {error}") from error
