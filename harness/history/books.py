"""Books of a history: what was handed to each recorder, counted apart from what reached its file.

A `Ledger` counts every record before its recorder gets it, and sums up what the records say. Now
and then, and at the end, it writes these books into the history, and load processes tell them to
the runner too, which writes what it heard last into a history of its own. So a record that was lost
on its way to the file, or taken out of it, shows; `harness.history.audit` compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import xxhash

from harness.history.recorder import Recorder
from harness.history.records import FaultMarked, Kept, Line, Record, Watermark

_MASK = (1 << 64) - 1
_ENCODE = msgspec.msgpack.Encoder().encode


class Books:
    """How many records of each kind, and the sum of their hashes modulo 2^64."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}

    def enter(self, record: Record) -> None:
        """Count a record; a `Watermark` says nothing that could be lost."""
        kind = type(record)
        if kind is Watermark:
            return
        if isinstance(record, FaultMarked):
            # What was observed may be whole numbers, which come back from a file as floats.
            effect = {name: float(value) for name, value in record.effect.items()}
            record = msgspec.structs.replace(record, effect=effect)
        line = self._lines.get(kind.__name__)
        if line is None:
            line = self._lines[kind.__name__] = [0, 0]
        line[0] += 1
        line[1] = (line[1] + xxhash.xxh3_64_intdigest(_ENCODE(record))) & _MASK

    def lines(self) -> dict[str, Line]:
        """Return (records, sum of hashes) by kind."""
        return {kind: (count, total) for kind, (count, total) in self._lines.items()}


class Ledger:
    """Counts every record that a recorder is handed, and closes it with its books.

    Args:
        recorder: Fresh; nobody else writes to it.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._books = Books()
        self._newest_ns = 0
        self._closed = False

    def write(self, record: Record) -> None:
        """Take a record; see `Recorder.write`."""
        self._enter(record)
        self._recorder.write(record)

    def write_now(self, records: Sequence[Record]) -> None:
        """Write these records before returning.

        Raises:
            HarnessError: As `Recorder.flush`.
        """
        for record in records:
            self._enter(record)
        self._recorder.write_now(records)

    def flush(self) -> None:
        """Write what waits; see `Recorder.flush`."""
        self._recorder.flush()

    def beat(self, now_ns: int) -> None:
        """Write the books so far, and the promise that nothing older comes."""
        self._newest_ns = max(self._newest_ns, now_ns)
        self._recorder.write_now((self._kept(now_ns), Watermark(t_ns=now_ns)))

    def told(self) -> dict[str, Line]:
        """Return the books so far."""
        return self._books.lines()

    def close(self) -> None:
        """Write the books and close the recorder. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._recorder.write_now((self._kept(self._newest_ns),))
        self._recorder.close()

    def _enter(self, record: Record) -> None:
        self._newest_ns = max(self._newest_ns, record.t_ns)
        self._books.enter(record)

    def _kept(self, now_ns: int) -> Kept:
        return Kept(t_ns=now_ns, recorder=self._recorder.name, target="", lines=self.told())


def lines_from(told: Mapping[str, Any]) -> dict[str, Line]:
    """Return books as another process told them in JSON."""
    return msgspec.convert(told, dict[str, Line])
