"""Segments survive a round trip, and nothing that was done to one goes unnoticed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from harness.errors import DamagedHistory, HarnessError
from harness.history.index import read_index, write_index
from harness.history.reader import (
    Tail,
    merge,
    read_folder,
    read_folder_placed,
    read_segment,
)
from harness.history.recorder import Recorder
from harness.history.records import (
    Completed,
    Delivered,
    DeliveredRun,
    Invoked,
    PhaseMarked,
    Record,
    Stored,
)
from harness.history.segment import ORDER_SLACK_NS


def invoked(t_ns: int, n: int = 0) -> Invoked:
    return Invoked(t_ns=t_ns, process=0, producer=7, inbox="x", n_first=n, count=1)


def completed(t_ns: int, n: int = 0) -> Completed:
    return Completed(
        t_ns=t_ns,
        process=0,
        producer=7,
        inbox="x",
        n_first=n,
        count=1,
        outcome="ok",
        pos_first=n,
        epoch=0,
        attempts=1,
        error="",
    )


def delivered(t_ns: int, n: int = 0) -> Delivered:
    run = DeliveredRun(
        producer=2**64 - 1, n_first=n, count=1, epoch=0, bucket_count=1, digest=2**64 - 2
    )
    return Delivered(
        t_ns=t_ns, reader="r", inbox="x", session=1, pos_first=n, redelivered=False, runs=(run,)
    )


def write_segment(path: Path, chunks: list[list[Record]], *, close: bool = True) -> None:
    recorder = Recorder(path, "run", path.stem)
    for chunk in chunks:
        recorder.write_now(chunk)
    if close:
        recorder.close()


THREE_CHUNKS: list[list[Record]] = [
    [invoked(10, 0), invoked(20, 1)],
    [delivered(30, 0)],
    [completed(40, 0), completed(50, 1)],
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0001.msgpack"
    write_segment(path, THREE_CHUNKS)
    assert list(read_segment(path)) == [record for chunk in THREE_CHUNKS for record in chunk]


def test_written_now_is_in_the_file_before_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "0001.msgpack"
    recorder = Recorder(path, "run", "one")
    recorder.write(completed(5))
    recorder.write_now((invoked(6),))
    assert list(read_segment(path, allow_torn=True)) == [completed(5), invoked(6)]
    recorder.close()
    recorder.close()
    with pytest.raises(HarnessError, match="after its close"):
        recorder.write_now((invoked(7),))


def test_records_within_the_slack_are_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "0001.msgpack"
    records: list[Record] = [invoked(ORDER_SLACK_NS, 1), completed(3), invoked(4 * ORDER_SLACK_NS)]
    write_segment(path, [[record] for record in records])
    assert [r.t_ns for r in read_segment(path)] == [3, ORDER_SLACK_NS, 4 * ORDER_SLACK_NS]


def test_time_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "0001.msgpack", "run", "one")
    recorder.write_now((invoked(2 * ORDER_SLACK_NS),))
    with pytest.raises(HarnessError, match="backwards"):
        recorder.write_now((invoked(1),))


def test_invocations_come_first_at_the_same_nanosecond(tmp_path: Path) -> None:
    write_segment(tmp_path / "0001.msgpack", [[delivered(5)]])
    write_segment(tmp_path / "0002.msgpack", [[invoked(5)]])
    paths = sorted(tmp_path.iterdir())
    assert list(merge(paths)) == [invoked(5), delivered(5)]


def test_big_records_get_chunks_of_their_own(tmp_path: Path) -> None:
    column = b"\0" * (20 << 20)
    row = Stored(
        t_ns=1,
        inbox="x",
        epoch=0,
        bucket=0,
        bucket_count=1,
        count=1,
        bpos_first=0,
        positions=column,
        producers=b"",
        ns=b"",
    )
    path = tmp_path / "0001.msgpack"
    write_segment(path, [[row, row]])
    assert len(list(read_segment(path))) == 2
    recorder = Recorder(tmp_path / "0002.msgpack", "run", "two")
    with pytest.raises(HarnessError, match="larger than"):
        recorder.write_now((msgspec.structs.replace(row, ns=column),))


def parts_of(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return list(msgpack.Unpacker(file))


def write_parts(path: Path, parts: list[Any]) -> None:
    path.write_bytes(b"".join(msgpack.packb(part) for part in parts))


def altered(parts: list[Any]) -> list[Any]:
    number, crc, payload = parts[2]
    return [*parts[:2], [number, crc, payload[:-1] + bytes([payload[-1] ^ 1])], *parts[3:]]


def record_removed(parts: list[Any]) -> list[Any]:
    """Take one record out and mend all checksums: the trailer still counts it."""
    number, _, payload = parts[1]
    records = msgpack.unpackb(payload)[1:]
    crc = zlib.crc32(msgpack.packb(parts[0]))
    mended = [parts[0]]
    for part in [[number, 0, msgpack.packb(records)], *parts[2:]]:
        crc = zlib.crc32(part[2], crc)
        mended.append([part[0], crc, part[2]])
    return mended


DAMAGES: dict[str, Callable[[list[Any]], list[Any]]] = {
    "chunk removed": lambda p: [*p[:2], *p[3:]],
    "chunk doubled": lambda p: [*p[:3], p[2], *p[3:]],
    "chunks swapped": lambda p: [p[0], p[2], p[1], *p[3:]],
    "chunk altered": altered,
    "record removed": record_removed,
    "trailer removed": lambda p: p[:-1],
    "header removed": lambda p: p[1:],
    "header altered": lambda p: [{**p[0], "run": "other"}, *p[1:]],
    "more behind the trailer": lambda p: [*p, p[1]],
    "no chunk": lambda p: [p[0], 17, *p[1:]],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found_and_named(tmp_path: Path, damage: Callable[[list[Any]], Any]) -> None:
    path = tmp_path / "0001.msgpack"
    write_segment(path, THREE_CHUNKS)
    write_parts(path, damage(parts_of(path)))
    with pytest.raises(DamagedHistory, match=r"0001\.msgpack: chunk \d"):
        list(read_segment(path))


def test_every_torn_tail_is_damage_unless_its_recorder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "0001.msgpack"
    write_segment(path, THREE_CHUNKS)
    whole = path.read_bytes()
    records = list(read_segment(path))
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DamagedHistory):
            list(read_segment(path))
        read = list(read_segment(path, allow_torn=True))
        assert read == records[: len(read)]


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "0001.msgpack"
    write_segment(path, THREE_CHUNKS)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(DamagedHistory):
            list(read_segment(path))


def test_the_index_binds_the_files(tmp_path: Path) -> None:
    write_segment(tmp_path / "0001.msgpack", [[invoked(1)]])
    write_segment(tmp_path / "0002.msgpack", [[delivered(2)]], close=False)
    with pytest.raises(DamagedHistory, match="was not killed"):
        write_index(tmp_path)
    with pytest.raises(DamagedHistory, match="cut off"):
        read_folder(tmp_path)
    write_index(tmp_path, killed={"0002"})
    assert [s.closed for s in read_index(tmp_path).segments] == ["orderly", "killed"]
    assert list(read_folder(tmp_path)) == [invoked(1), delivered(2)]
    assert [place for place, _ in read_folder_placed(tmp_path)] == [
        "0001.msgpack#0",
        "0002.msgpack#0",
    ]
    other = tmp_path / "0003.msgpack"
    write_segment(other, [[invoked(1)]])
    with pytest.raises(DamagedHistory, match=r"0003\.msgpack"):
        read_folder(tmp_path)
    other.rename(tmp_path / "0001.msgpack")
    with pytest.raises(DamagedHistory, match="altered after the run"):
        read_folder(tmp_path)


def test_the_tail_yields_what_cannot_be_overtaken(tmp_path: Path) -> None:
    slow = Recorder(tmp_path / "0001.msgpack", "run", "slow")
    fast = Recorder(tmp_path / "0002.msgpack", "run", "fast")
    tail = Tail(tmp_path)
    fast.write_now((invoked(100),))
    assert tail.poll() == []
    slow.beat(200)
    fast.beat(150)
    assert [r.t_ns for r in tail.poll()] == [100]
    slow.write_now((PhaseMarked(t_ns=300, name="load", begins=True),))
    slow.close()
    assert [r.t_ns for r in tail.poll()] == []
    fast.close()
    assert [r.t_ns for r in tail.poll()] == [150, 200, 300]
    tail.close()
