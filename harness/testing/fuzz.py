"""Damages stored runs in every way, and says what `tallystick check` may answer.

A mutation changes the bytes of one file of a run folder, or its records. How much of the sums
around it is made anew is its *seal*: nothing, the chain of its segment, the history's index too, or
the digests in `result.json` too, which is what someone would do who wants to deceive. Whatever was
done, `check` answers with an exit code of its own, never a traceback; and a run that it calls PASS
says the same as before about every message (`same_claim`, `same_messages`).
"""

from __future__ import annotations

import json
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgpack
import msgspec

from harness.errors import HarnessError
from harness.history.index import INDEX_NAME, SEGMENT_GLOB, sha256_of
from harness.history.reader import read_folder
from harness.history.records import (
    Completed,
    Delivered,
    Invoked,
    Stored,
    StoredEnd,
)
from harness.report.codec import decode_result
from harness.report.result import Result, Status
from harness.report.writer import RESULT_NAME
from harness.run.brief import SCHEDULE_NAME, read_brief
from harness.testing.long_histories import Shape, judge_run, write_run
from harness.testing.stored_runs import seal

ALLOWED_CODES = frozenset({0, 1, 2, 3, 4, 70})
"""What `check` may end with, by docs and design."""


class Seal(IntEnum):
    """Which sums were made anew; each includes those before it."""

    NONE = 0
    CHAIN = 1
    INDEX = 2
    RESULT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """What was done: `file` below the run folder, how, and what was sealed again."""

    file: str
    how: str
    sealed: Seal

    def __str__(self) -> str:
        return f"{self.how} in {self.file}, sealed {self.sealed.name}"


def make_run(run_dir: Path, *, seed: int, status: Status) -> Result:
    """Write a small run of three segments that ends with PASS, or with FAIL by a wrong content.

    Raises:
        LookupError: It ends otherwise.
    """
    shape = Shape(
        messages=900, single_share=0.2, seed=seed, commit_count=60, reconnect_commits=3,
        plain_inboxes=2, wrong_content=status is Status.FAIL,
    )  # fmt: skip
    write_run(run_dir, shape)
    result = judge_run(run_dir)
    if result.verdict.status is not status:
        raise LookupError(f"the run ends with {result.verdict}")
    return result


# Bytes


def _flip_bit(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    size = rng.randint(1, 16)
    data[at : at + size] = rng.randbytes(min(size, len(data) - at))


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 40))


def _append(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.randint(1, 40))


def _delete(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 60)]


def _double(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.randint(1, 200)]


def _exchange(data: bytearray, rng: random.Random) -> None:
    first, second, third = sorted(rng.randint(0, len(data)) for _ in range(3))
    data[first:third] = data[second:third] + data[first:second]


BYTE_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip_bit, _overwrite, _truncate, _insert, _append, _delete, _double, _exchange,
)  # fmt: skip


# Records


def _number_changed(value: int, rng: random.Random) -> int:
    return rng.choice(
        (value + 1, value - 1, value ^ 1, 0, -1, value * 2, 1 << 40, 1 << 62, 1 << 63, -(1 << 63),
         value + rng.randint(-1000, 1000))
    )  # fmt: skip


def _alter(item: Any, rng: random.Random) -> Any:
    """Return a nested value with one leaf changed."""
    if isinstance(item, list) and item:
        place = rng.randrange(len(item))
        return [*item[:place], _alter(item[place], rng), *item[place + 1 :]]
    if isinstance(item, dict) and item:
        key = rng.choice(sorted(item, key=str))
        return {**item, key: _alter(item[key], rng)}
    match item:
        case bool():
            return not item
        case int():
            return _number_changed(item, rng)
        case float():
            return rng.choice((item + 1.0, -item, 0.0))
        case str():
            return rng.choice((item + "x", item[:-1], "", "ok", "fail", "info", "nobody"))
        case bytes():
            data = bytearray(item or b"\0")
            rng.choice(BYTE_CHANGES)(data, rng)
            return bytes(data)
        case _:
            return rng.choice((0, "", None, []))


def _change_records(chunks: list[list[Any]], rng: random.Random) -> str:
    """Change one thing in the records of a segment, or in its chunks."""
    full = [place for place, chunk in enumerate(chunks) if chunk]
    place = rng.choice(full)
    chunk = chunks[place]
    at = rng.randrange(len(chunk))
    how = rng.choice(
        ("remove", "double", "swap", "alter", "alter", "alter", "retime", "move",
         "remove chunk", "double chunk", "swap chunks")
    )  # fmt: skip
    match how:
        case "remove":
            del chunk[at]
        case "double":
            chunk.insert(at, chunk[at])
        case "swap":
            other = rng.randrange(len(chunk))
            chunk[at], chunk[other] = chunk[other], chunk[at]
        case "alter":
            chunk[at] = _alter(chunk[at], rng)
        case "retime":
            later = chunk[at][1] + rng.randint(-(10**9), 10**9)
            chunk[at] = [chunk[at][0], later, *chunk[at][2:]]
        case "move":
            record = chunk.pop(at)
            chunks[rng.choice(full)].append(record)
        case "remove chunk":
            del chunks[place]
        case "double chunk":
            chunks.insert(place, chunk)
        case _:
            other = rng.choice(full)
            chunks[place], chunks[other] = chunks[other], chunks[place]
    return how


def _unpacked(path: Path) -> tuple[Any, list[Any], Any]:
    """Return (header, payloads of records, trailer or None) of a segment."""
    with path.open("rb") as file:
        header, *items = msgpack.Unpacker(file, raw=False, max_bin_len=1 << 30)
    payloads = [msgpack.unpackb(item[2], raw=False) for item in items]
    trailer = payloads.pop() if payloads and isinstance(payloads[-1], dict) else None
    return header, payloads, trailer


def _chained(header: Any, payloads: Sequence[Any]) -> bytes:
    """Return a segment of these payloads, numbers and chain made anew."""
    head = msgspec.msgpack.encode(header)
    data, crc = bytearray(head), zlib.crc32(head)
    for number, payload in enumerate(payloads):
        body = _packed(payload)
        crc = zlib.crc32(body, crc)
        data += msgspec.msgpack.encode((number, crc, body))
    return bytes(data)


def _rewrite_segment(path: Path, rng: random.Random) -> str:
    """Change a segment's records and make its chain, and mostly its trailer, anew."""
    header, payloads, trailer = _unpacked(path)
    how = _change_records(payloads, rng)
    if trailer is not None and rng.random() < 0.9:
        kinds = Counter(_kind(record) for chunk in payloads for record in chunk)
        trailer = {"records": sum(map(len, payloads)), "kinds": dict(kinds)}
    path.write_bytes(_chained(header, payloads if trailer is None else [*payloads, trailer]))
    return how


def _packed(payload: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(payload)
    except OverflowError:
        return b"\x91\xc0"


def _kind(record: Any) -> str:
    tag = record[0] if isinstance(record, list) and record and isinstance(record[0], str) else "?"
    return "".join(word.capitalize() for word in tag.split("_"))


def _rewrite_json(path: Path, rng: random.Random) -> str:
    tree = json.loads(path.read_bytes())
    changed = _alter(tree, rng)
    path.write_text(json.dumps(changed))
    return "alter a value"


def _exchange_files(run_dir: Path, rng: random.Random) -> tuple[str, str]:
    paths = [path for path in sorted(run_dir.rglob("*")) if path.is_file()]
    first, second = rng.sample(paths, 2)
    how = rng.choice(("swap", "copy", "remove", "empty"))
    one, two = first.read_bytes(), second.read_bytes()
    match how:
        case "swap":
            first.write_bytes(two)
            second.write_bytes(one)
        case "copy":
            second.write_bytes(one)
        case "remove":
            first.unlink()
        case _:
            first.write_bytes(b"")
    return f"{first.name} and {second.name}", f"{how} files"


def mutate(run_dir: Path, seed: int) -> Mutation:
    """Change a run folder at random and seal it again as far as the seed says."""
    rng = random.Random(seed)
    history = run_dir / "history"
    segments = sorted(history.glob(SEGMENT_GLOB))
    files = [*segments, history / INDEX_NAME, run_dir / RESULT_NAME, run_dir / SCHEDULE_NAME]
    kind = rng.choice(("bytes", "records", "records", "json", "files"))
    sealed = Seal.NONE
    if kind == "bytes":
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        change = rng.choice(BYTE_CHANGES)
        change(data, rng)
        path.write_bytes(data)
        what, how = path.name, change.__name__.strip("_").replace("_", " ")
        sealed = rng.choice((Seal.NONE, Seal.NONE, Seal.RESULT))
    elif kind == "records":
        path = rng.choice(segments)
        what, how = path.name, _rewrite_segment(path, rng)
        sealed = rng.choice((Seal.CHAIN, Seal.INDEX, Seal.RESULT, Seal.RESULT))
    elif kind == "json":
        path = rng.choice(files[-3:])
        what, how = path.name, _rewrite_json(path, rng)
        sealed = rng.choice((Seal.NONE, Seal.RESULT))
    else:
        what, how = _exchange_files(run_dir, rng)
        sealed = rng.choice((Seal.NONE, Seal.RESULT))
    if sealed >= Seal.INDEX and INDEX_NAME not in what:
        sealed = _index_again(history) or sealed
    if sealed is Seal.RESULT:
        _seal_again(run_dir)
    return Mutation(file=what, how=how, sealed=sealed)


def _index_again(history: Path) -> Seal | None:
    """Give the index the digests that the files have now, whatever is in them."""
    path = history / INDEX_NAME
    try:
        index = json.loads(path.read_bytes())
        for segment in index["segments"]:
            place = history / segment["file"]
            segment["sha256"] = sha256_of(place)
            segment["bytes"] = place.stat().st_size
        path.write_text(json.dumps(index))
    except (OSError, ValueError, TypeError, KeyError):
        return Seal.CHAIN
    return None


def _seal_again(run_dir: Path) -> None:
    """Give the result the digests that the files have now; if it is readable still."""
    try:
        seal(run_dir, decode_result((run_dir / RESULT_NAME).read_bytes()))
    except (OSError, ValueError, msgspec.DecodeError):
        return


# What a run says


def same_claim(one: Path, other: Path) -> bool:
    """Return whether two run folders claim the same verdict, counts and checks."""
    return bool(_claim(one) == _claim(other))


def _claim(run_dir: Path) -> Any:
    result = decode_result((run_dir / RESULT_NAME).read_bytes())
    checks = [(one.id, one.status, one.instances, one.examined) for one in result.checks]
    return result.complete, result.verdict.status, result.counts, checks


def same_history(one: Path, other: Path) -> bool:
    """Return whether two run folders hold the same records and the same brief."""
    return bool(_whole(one) == _whole(other))


def _whole(run_dir: Path) -> Any:
    return read_brief(run_dir), list(read_folder(run_dir / "history"))


def same_messages(one: Path, other: Path) -> bool:
    """Return whether two run folders say the same of every message.

    That is: what was sent, what was answered and where it then lay, what was delivered to whom and
    where, with which content, and what lay where in the store. Times are left aside, and so are
    positions within a bucket, of which only the order means something.
    """
    return _messages(one) == _messages(other)


def _messages(run_dir: Path) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for r in read_folder(run_dir / "history"):
        match r:
            case Invoked():
                found["invoked", r.producer, r.inbox, r.n_first, r.count] += 1
            case Completed():
                id_ = (r.producer, r.inbox, r.n_first, r.count)
                found["completed", *id_, r.outcome, r.pos_first] += 1
            case Delivered():
                pos = r.pos_first
                for run in r.runs:
                    what = (run.producer, run.n_first, run.count, run.digest)
                    found["delivered", r.inbox, pos, *what] += 1
                    pos += run.count
            case Stored():
                place = (r.inbox, r.epoch, r.bucket, r.bucket_count, r.count)
                found["stored", *place, r.positions, r.producers, r.ns] += 1
            case StoredEnd():
                found["stored end", r.inbox] += 1
            case _:
                pass
    return found


def is_void(original: Path, changed: Path, sealed: Seal) -> bool:
    """Return whether a change that `check` passes has changed nothing that a verdict rests on."""
    try:
        if not same_claim(original, changed):
            return False
        if sealed is Seal.RESULT:
            return same_messages(original, changed)
        return same_history(original, changed)
    except (HarnessError, msgspec.DecodeError, OSError):
        return False
