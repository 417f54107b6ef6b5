"""What a message costs in the SQLite store: by bucket count, commit size, page size.

    python -m benchmarks.store [--messages 200000] [--page-bytes 4096 16384] [--folder PATH]

Prints microseconds per 100-byte message: wall time and CPU of the committing process (fsync
included), and wall time of reading all of it again, merged.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from reference.events import Append, InboxMark, ProducerMark, Writes
from reference.store import sqlite
from reference.wire.messages import Run

BODY_BYTES = 100


def writes(pos: int, count: int, bucket_count: int, lengths: bytes, body: bytes) -> Writes:
    """Return one commit: a batch of one producer, with the numbers that belong to it."""
    run = Run(7, pos, count, 1, bucket_count)
    append = Append(
        inbox="vip_user",
        pos_first=pos,
        epoch=1,
        bucket_count=bucket_count,
        runs=(run,),
        lengths=lengths,
        body=body,
    )
    end = pos + count
    producer = ProducerMark(
        producer=7, inbox="vip_user", n_next=end, last_first=pos, last_digest=end
    )
    inbox = InboxMark(inbox="vip_user", pos_next=end, cursor=-1, session=0, floor=0)
    return Writes(appends=(append,), producers=(producer,), inboxes=(inbox,))


def measure(path: Path, bucket_count: int, per_commit: int, messages: int) -> tuple[float, ...]:
    """Return wall and CPU time of writing and wall time of reading, in µs per message."""
    lengths = np.full(per_commit, BODY_BYTES, dtype="<u4").tobytes()
    body = os.urandom(BODY_BYTES * per_commit)
    with closing(sqlite.SqliteStore(path)) as store:
        store.recover()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for pos in range(0, messages, per_commit):
            store.commit(writes(pos, per_commit, bucket_count, lengths, body))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        read_s, pos = time.perf_counter(), 0
        while count := store.read("vip_user", pos, messages, 1024 * 1024).count:
            pos += count
        read_s = time.perf_counter() - read_s
    return tuple(seconds / pos * 1e6 for seconds in (wall_s, cpu_s, read_s))


def main() -> None:
    """Measure every combination and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--page-bytes", type=int, nargs="+", default=[sqlite.PAGE_BYTES])
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    arguments = parser.parse_args()
    out = sys.stdout
    out.write("page bytes  per commit  buckets  write µs  write CPU µs  read µs\n")
    for page_bytes in arguments.page_bytes:
        # The page size is a decision of the store, not a setting; only this benchmark varies it.
        sqlite.PAGE_BYTES = page_bytes  # type: ignore[misc]
        for per_commit in (500, 5_000):
            for bucket_count in (1, 5, 50):
                with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                    path = Path(folder) / "core.db"
                    figures = measure(path, bucket_count, per_commit, arguments.messages)
                wall, cpu, read = figures
                out.write(
                    f"{page_bytes:10}  {per_commit:10}  {bucket_count:7}"
                    f"  {wall:8.2f}  {cpu:12.2f}  {read:7.2f}\n"
                )
                out.flush()


if __name__ == "__main__":
    main()
