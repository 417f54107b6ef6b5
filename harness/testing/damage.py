"""Damage to a store's file: flips bits and judges what a store then shows.

`python -m harness.testing.damage --flips 5000 --seed 1` tries many and counts what became of them.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import apsw

from harness.testing.core_script import texts
from harness.testing.store_script import writes_of
from reference.events import EpochMark, InboxMark, Writes
from reference.store.port import (
    Store,
    StoreBroken,
    StoreDamaged,
    StoreFull,
    StoreRefused,
    take_over,
)
from reference.store.sqlite import SqliteStore

INBOXES: Final = 40
MESSAGES: Final = 60
"""Messages in each inbox: of producer 7, at the positions of their n."""

EPOCH: Final = 1
BUCKETS: Final = 3
SESSION: Final = 4
CURSOR: Final = 9


class Seen(StrEnum):
    """What became of a flipped bit."""

    HARMLESS = "harmless"
    TOLD = "told"


class Believed(AssertionError):
    """Raised when a store showed something that was never written, and did not say so."""


def make(path: Path, *, close: bool = True) -> Path:
    """Make a store with everything that one can hold; `close` False leaves its log."""
    store = SqliteStore(path)
    take_over(store)
    names = [f"user-{number}" for number in range(INBOXES)]
    for name in names:
        store.commit(writes_of(name, 0, MESSAGES // 2, epoch=0, bucket_count=1))
    half = MESSAGES // 2
    for name in names:
        made = writes_of(name, half, half, epoch=EPOCH, bucket_count=BUCKETS)
        begun = EpochMark(inbox=name, epoch=EPOCH, bucket_count=BUCKETS, pos_first=half)
        mark = InboxMark(inbox=name, pos_next=MESSAGES, cursor=CURSOR, session=SESSION, floor=0)
        store.commit(
            Writes(appends=made.appends, producers=made.producers, inboxes=(mark,), epochs=(begun,))
        )
    if close:
        store.close()
        return path
    # A second name for the files, so that the end of this store does not take its log away.
    kept = path.with_name(f"kept-{path.name}")
    shutil.copy(path, kept)
    shutil.copy(f"{path}-wal", f"{kept}-wal")
    store.close()
    return kept


def flip(path: Path, rng: random.Random) -> int:
    """Flip one bit of a file; return which byte it is in."""
    data = bytearray(path.read_bytes())
    where = rng.randrange(len(data))
    data[where] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return where


def look(path: Path, where: int) -> Seen:
    """Open a store of `make` that a bit was flipped in, and use it as a core would.

    Raises:
        Believed: Something that it shows is not what was written, and it does not say so.
    """
    try:
        store = SqliteStore(path)
    except (StoreRefused, StoreDamaged, StoreFull):
        return Seen.TOLD
    try:
        return _use(store, where)
    except (StoreDamaged, StoreBroken):
        return Seen.TOLD
    finally:
        with suppress(apsw.Error):
            store.close()


def _use(store: Store, where: int) -> Seen:
    recovered = take_over(store)
    told = recovered.damaged
    epochs = {
        mark.inbox: (mark.epoch, mark.bucket_count, mark.pos_first) for mark in recovered.epochs
    }
    producers = {(mark.producer, mark.inbox): mark for mark in recovered.producers}
    inboxes = {mark.inbox: mark for mark in recovered.inboxes}
    for name in (f"user-{number}" for number in range(INBOXES)):
        mark = inboxes.pop(name, None)
        if mark is None:
            if name not in recovered.quarantined and recovered.inboxes_whole:
                raise Believed(f"byte {where}: {name} is gone, and would begin anew")
            continue
        if mark != InboxMark(
            inbox=name, pos_next=MESSAGES, cursor=CURSOR, session=SESSION, floor=0
        ):
            raise Believed(f"byte {where}: {mark}")
        known = producers.get((7, name))
        if known is None or (known.n_next, known.last_digest) != (MESSAGES, MESSAGES):
            raise Believed(f"byte {where}: of {name} the core knows {known}")
        if epochs.get(name) != (EPOCH, BUCKETS, MESSAGES // 2):
            raise Believed(f"byte {where}: the epoch of {name} is {epochs.get(name)}")
        told |= _reads(store, name, where)
    if inboxes:
        raise Believed(f"byte {where}: {sorted(inboxes)} were never there")
    more = [
        writes_of(mark.inbox, MESSAGES, 5, epoch=EPOCH, bucket_count=BUCKETS)
        for mark in recovered.inboxes
    ]
    store.commit(
        Writes(
            appends=tuple(append for writes in more for append in writes.appends),
            producers=tuple(mark for writes in more for mark in writes.producers),
            inboxes=tuple(mark for writes in more for mark in writes.inboxes),
        )
    )
    return Seen.TOLD if told else Seen.HARMLESS


def _reads(store: Store, name: str, where: int) -> bool:
    """Read an inbox from its begin, behind damage too; return whether some was told."""
    told, pos, bodies = False, 0, texts(0, MESSAGES)
    while pos < MESSAGES:
        try:
            log = store.read(name, pos, MESSAGES - 1, 1_000)
        except StoreDamaged:
            told, pos = True, pos + 1
            continue
        if not log.pos_first <= pos < log.pos_first + log.count:
            # A hole: the core tells it as damage.
            told, pos = True, pos + 1
            continue
        stop = log.pos_first + log.count
        if log.body != b"".join(bodies[log.pos_first : stop]):
            raise Believed(f"byte {where}: {name} from {log.pos_first} on is {log.body!r:.100}")
        at = log.pos_first
        for run in log.runs:
            if (run.producer, run.n_first) != (7, at):
                raise Believed(f"byte {where}: {name} at {at} is of {run}")
            at += run.count
        pos = stop
    return told


def main() -> None:
    """Try flips and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    rng = random.Random(wanted.seed)
    seen: Counter[Seen] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        stored = make(Path(folder) / "stored.db")
        for number in range(wanted.flips):
            path = Path(shutil.copy(stored, Path(folder) / f"{number}.db"))
            seen[look(path, flip(path, rng))] += 1
            for file in Path(folder).glob(f"{number}.db*"):
                file.unlink()
    sys.stdout.write(f"{dict(seen)}\n")


if __name__ == "__main__":
    main()
