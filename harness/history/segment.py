"""Takes a segment apart, piece by piece as its bytes come, and proves that it is undamaged."""

from __future__ import annotations

import zlib
from typing import Any

import msgpack
import msgspec

from harness.errors import DamagedHistory
from harness.history.records import Record

SCHEMA = "tallystick.history/1.1"
"""What the header of every segment says."""

SCHEMA_WITHOUT_BOOKS = "tallystick.history/1"
"""What it said before recorders kept books; such a history can still be read."""

SCHEMAS = (SCHEMA, SCHEMA_WITHOUT_BOOKS)

CHUNK_BYTES_MAX = 32 << 20
"""Largest payload of a chunk, hence also the largest record."""

ORDER_SLACK_NS = 50_000_000
"""How far a record's time may lie behind the newest time written before it."""

_FRAMING_BYTES_MAX = 64
"""What a chunk has around its payload, at most."""

_DECODE = msgspec.msgpack.Decoder(list[Record]).decode
_HEADER_KEYS = {"schema", "run", "recorder"}


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote a segment, in which run, and in which version of the format."""

    run: str
    recorder: str
    schema: str = SCHEMA


class SegmentParser:
    """Bytes in, records out, in the order of the file.

    Args:
        name: The file's name, for messages.

    Attributes:
        header: Who wrote it, once that is known.
        orderly: The trailer has been read, so every record was there.
        record_count: Records read so far.
        newest_ns: The latest time read so far.
        floor_ns: No record to come has a time below it.
    """

    def __init__(self, name: str) -> None:
        self.header: Header | None = None
        self.orderly = False
        self.record_count = 0
        self.newest_ns = 0
        self.floor_ns = 0
        self._name = name
        self._number = 0
        self._crc = 0
        self._kinds: dict[str, int] = {}
        self._fed_bytes = 0
        limit = CHUNK_BYTES_MAX + _FRAMING_BYTES_MAX
        self._unpacker = msgpack.Unpacker(
            raw=False, strict_map_key=True, max_buffer_size=4 * limit, max_bin_len=CHUNK_BYTES_MAX
        )

    def feed(self, data: bytes) -> list[Record]:
        """Return the records of all chunks that are complete now.

        Raises:
            DamagedHistory: The bytes are not what a recorder wrote.
        """
        records: list[Record] = []
        try:
            self._unpacker.feed(data)
            self._fed_bytes += len(data)
            for item in self._unpacker:
                if self.header is None:
                    self._take_header(item)
                else:
                    records += self._take_chunk(item)
        except (ValueError, msgpack.UnpackException) as error:
            raise self._damage(f"is no sequence of chunks ({error})") from error
        return records

    def finish(self, *, allow_torn: bool) -> None:
        """Say that there are no more bytes.

        Raises:
            DamagedHistory: The segment is incomplete, and it was not allowed to be.
        """
        left_bytes = self._fed_bytes - self._unpacker.tell()
        if self.orderly:
            if left_bytes:
                raise self._damage(f"has {left_bytes} bytes behind its trailer")
            return
        if allow_torn:
            return
        if self.header is None:
            raise self._damage("has no header")
        if left_bytes:
            raise self._damage(f"is torn: {left_bytes} bytes are no whole chunk")
        raise self._damage("has no trailer: its end is missing")

    def _damage(self, what: str) -> DamagedHistory:
        return DamagedHistory(f"{self._name}: chunk {self._number} {what}")

    def _take_header(self, item: Any) -> None:
        if not isinstance(item, dict) or set(item) != _HEADER_KEYS:
            raise self._damage("is preceded by no header")
        if item["schema"] not in SCHEMAS:
            raise self._damage(f"is of schema {item['schema']!r}, not {SCHEMA!r}")
        self.header = Header(
            run=str(item["run"]), recorder=str(item["recorder"]), schema=item["schema"]
        )
        self._crc = zlib.crc32(msgspec.msgpack.encode(item))

    def _take_chunk(self, item: Any) -> list[Record]:
        if self.orderly:
            raise self._damage("lies behind the trailer")
        if not isinstance(item, list) or len(item) != 3 or not isinstance(item[2], bytes):
            raise self._damage("is no chunk")
        number, crc, payload = item
        if number != self._number:
            raise self._damage(f"says that it is number {number}: one was removed, doubled, moved")
        if zlib.crc32(payload, self._crc) != crc:
            raise self._damage("does not fit its checksum")
        self._crc = crc
        records = self._decode(payload)
        self._number += 1
        return records

    def _decode(self, payload: bytes) -> list[Record]:
        try:
            if payload[:1] and (payload[0] & 0xF0 == 0x80 or payload[0] in (0xDE, 0xDF)):
                self._take_trailer(msgspec.msgpack.decode(payload))
                return []
            records = _DECODE(payload)
        except msgspec.MsgspecError as error:
            raise self._damage(f"holds no records ({error})") from error
        kinds = self._kinds
        newest_ns = self.newest_ns
        for record in records:
            t_ns = record.t_ns
            if t_ns > newest_ns:
                newest_ns = t_ns
            elif t_ns < self.floor_ns or t_ns < newest_ns - ORDER_SLACK_NS:
                raise self._damage(f"holds a record of an earlier time: {record}")
            kind = type(record).__name__
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "Watermark":
                self.floor_ns = max(self.floor_ns, t_ns)
        self.newest_ns = newest_ns
        self.floor_ns = max(self.floor_ns, newest_ns - ORDER_SLACK_NS)
        self.record_count += len(records)
        return records

    def _take_trailer(self, trailer: Any) -> None:
        if trailer != {"records": self.record_count, "kinds": self._kinds}:
            raise self._damage(
                f"counts {trailer}, but {self.record_count} records were read: {self._kinds}"
            )
        self.orderly = True
