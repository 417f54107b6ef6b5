"""The small tables of a store: what a core knows beside the messages, and whether it is whole.

A row whose checksum does not fit is not believed, and one that is gone is missed by number. Whose
numbers are damaged so is quarantined: nothing is read from it and nothing written to it, and all
others go on. Where it cannot be said who is missing, nobody who is not known is taken for new: an
inbox or a producer that had been there would begin at 0 once more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import numpy as np

from reference.core.buckets import U64
from reference.events import EpochMark, InboxMark, ProducerMark, Recovered, Writes
from reference.store.checksums import row_sum, signed, unsigned

BucketNext = Mapping[str, tuple[int, list[int]]]
"""Per inbox the epoch that was written last, and the next position in each of its buckets."""

COLUMNS: Final = {
    "inbox": ("inbox", "pos_next", "cursor", "session", "floor", "producers", "epochs"),
    "epoch": ("inbox", "epoch", "bucket_count", "pos_first"),
    "bucket_next": ("inbox", "epoch", "bpos_next"),
    "forgotten": ("producer",),
    "producer": ("producer", "inbox", "n_next", "last_first", "last_digest", "seen_s"),
    "total": ("what", "rows"),
}
"""The columns of every small table; its checksum stands behind them."""

TEXTS: Final = frozenset({"inbox", "what"})
"""The columns that hold text."""

_PRODUCER_AGAIN = """
    UPDATE producer SET n_next = ?3, last_first = ?4, last_digest = ?5, seen_s = ?6, checksum = ?7
    WHERE producer = ?1 AND inbox = ?2"""


@dataclass(slots=True)
class Counts:
    """How many rows belong to each inbox, and how many rows there are of all."""

    producers: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    inboxes: int = 0
    forgotten: int = 0


def put(db: apsw.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows with their checksums, in place of those of the same key."""
    marks = ",".join("?" * (len(COLUMNS[table]) + 1))
    db.executemany(
        f"INSERT OR REPLACE INTO {table} VALUES ({marks})",
        [(*row, row_sum(table, *row)) for row in rows],
    )


def put_totals(db: apsw.Connection, inboxes: int, forgotten: int) -> None:
    """Write how many inboxes and forgotten producers there are."""
    put(db, "total", [("inbox", inboxes), ("forgotten", forgotten)])


class Ledger:
    """Reads the small tables once, and writes to them as a part of each commit.

    What `write` has changed counts only behind `written`, since a commit may be rolled back.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._counts = Counts()
        self._changed = Counts()
        self.bucket_next: dict[str, tuple[int, list[int]]] = {}

    def recover(self, kept_s: int, forgotten_max: int) -> tuple[Recovered, int]:
        """Return what is there, and how long cores have run on the file.

        Args:
            kept_s: Producers that were not seen for so long are forgotten first, but for their
                ids; of a store with damage none is.
            forgotten_max: So many are remembered as forgotten at most.
        """
        found = _Found(self._db)
        self._counts = found.counts
        self.bucket_next = found.bucket_next
        ran_s = max((row[5] for row in found.producers), default=0)
        recovered = found.recovered()
        if not recovered.damaged:
            gone = _quiet(found.producers, ran_s - kept_s)
            gone = gone[: max(0, forgotten_max - self._counts.forgotten)]
            if gone:
                self._forget(found, set(gone))
                return self.recover(kept_s, forgotten_max)
        return recovered, ran_s

    def _forget(self, found: _Found, gone: set[int]) -> None:
        """Forget producers in all inboxes, but for their ids."""
        db, counts = self._db, self._counts
        fewer = Counter(row[1] for row in found.producers if row[0] in gone)
        with db:
            put(db, "forgotten", [(producer,) for producer in gone])
            db.executemany("DELETE FROM producer WHERE producer = ?", [(one,) for one in gone])
            put(
                db,
                "inbox",
                [(*row[:5], row[5] - fewer[row[0]], row[6]) for row in found.inboxes.values()],
            )
            put_totals(db, len(found.inboxes), counts.forgotten + len(gone))

    def write(self, writes: Writes, bucket_next: BucketNext, seen_s: int) -> None:
        """Write what a commit says; every inbox that it touches has its own mark in it."""
        db, counts = self._db, self._counts
        put(
            db,
            "bucket_next",
            [
                (name, epoch, np.array(after, dtype=U64).tobytes())
                for name, (epoch, after) in bucket_next.items()
            ],
        )
        begun = Counter(mark.inbox for mark in writes.epochs)
        put(
            db,
            "epoch",
            [(m.inbox, m.epoch, m.bucket_count, m.pos_first) for m in writes.epochs],
        )
        joined = self._put_producers(writes.producers, seen_s)
        changed = Counts()
        rows = []
        for mark in writes.inboxes:
            name = mark.inbox
            changed.producers[name] = counts.producers.get(name, 0) + joined.pop(name, 0)
            changed.epochs[name] = counts.epochs.get(name, 0) + begun.pop(name, 0)
            rows.append((*_numbers(mark), changed.producers[name], changed.epochs[name]))
        if joined or begun:
            raise ValueError(f"no mark of the inboxes {sorted({*joined, *begun})}")
        put(db, "inbox", rows)
        new = sum(name not in counts.epochs for name in changed.epochs)
        changed.inboxes = counts.inboxes + new
        if new:
            put(db, "total", [("inbox", changed.inboxes)])
        self._changed = changed

    def written(self, bucket_next: BucketNext) -> None:
        """Take note that the last `write` is committed."""
        self._counts.producers.update(self._changed.producers)
        self._counts.epochs.update(self._changed.epochs)
        self._counts.inboxes = self._changed.inboxes
        self.bucket_next.update(bucket_next)

    def _put_producers(self, marks: Iterable[ProducerMark], seen_s: int) -> Counter[str]:
        """Write what is known of producers; return how many are new, by inbox."""
        db = self._db
        joined: Counter[str] = Counter()
        for mark in marks:
            row = (
                signed(mark.producer), mark.inbox, mark.n_next, mark.last_first,
                signed(mark.last_digest), seen_s,
            )  # fmt: skip
            db.execute(_PRODUCER_AGAIN, (*row, row_sum("producer", *row)))
            if not db.changes():
                put(db, "producer", [row])
                joined[mark.inbox] += 1
        return joined


def _numbers(mark: InboxMark) -> tuple[Any, ...]:
    return (mark.inbox, mark.pos_next, mark.cursor, mark.session, mark.floor)


def _quiet(producers: Iterable[tuple[Any, ...]], before_s: int) -> list[int]:
    """Return the producers that were seen in no inbox since."""
    seen: dict[int, int] = {}
    for producer, _inbox, _n_next, _first, _digest, seen_s in producers:
        seen[producer] = max(seen.get(producer, seen_s), seen_s)
    return [producer for producer, last_s in seen.items() if last_s < before_s]


class _Found:
    """What the small tables hold: the sound rows of them, and what is wrong with the rest."""

    def __init__(self, db: apsw.Connection) -> None:
        self.quarantined: dict[str, str] = {}
        self.notes: list[str] = []
        """What is damaged and has no name."""
        self.inboxes = {row[0]: row for row in self._sound(db, "inbox")}
        self.producers = self._sound(db, "producer")
        self.epochs = sorted(self._sound(db, "epoch"))
        self.bucket_next = {
            name: (epoch, np.frombuffer(column, dtype=U64).tolist())
            for name, epoch, column in self._sound(db, "bucket_next")
        }
        self.forgotten = self._sound(db, "forgotten")
        totals = dict(self._sound(db, "total"))
        # Whose own row is damaged or gone is known all the same where another sound row names it.
        named = {row[1] for row in self.producers} | {row[0] for row in self.epochs}
        orphans = (named | self.bucket_next.keys()) - self.inboxes.keys()
        for name in orphans:
            self.quarantined.setdefault(name, "its row of table inbox is missing")
        self.inboxes_whole = self._whole("inbox", len(self.inboxes) + len(orphans), totals)
        self.forgotten_whole = self._whole("forgotten", len(self.forgotten), totals)
        self.counts = Counts(
            producers={name: row[5] for name, row in self.inboxes.items()},
            epochs={name: row[6] for name, row in self.inboxes.items()},
            inboxes=totals.get("inbox", 0),
            forgotten=len(self.forgotten),
        )
        self._look_for_gaps()

    def _sound(self, db: apsw.Connection, table: str) -> list[tuple[Any, ...]]:
        """Return the rows that fit their checksums; the inboxes of others are quarantined."""
        sound = []
        for values, fits in _rows_of(db, table):
            if fits:
                sound.append(values)
                continue
            self.notes.append(f"a row of table {table} does not fit its checksum: {values!r:.200}")
            if table != "total" and "inbox" in COLUMNS[table]:
                name = values[COLUMNS[table].index("inbox")]
                if isinstance(name, str):
                    self.quarantined[name] = f"its row of table {table} does not fit its checksum"
        return sound

    def _whole(self, table: str, rows: int, totals: Mapping[str, int]) -> bool:
        if totals.get(table) == rows:
            return True
        self.notes.append(
            f"table {table} has {rows} rows that are known, and should have {totals.get(table)}"
        )
        return False

    def _look_for_gaps(self) -> None:
        """Quarantine inboxes of which rows are missing."""
        producers = Counter(row[1] for row in set(self.producers))
        epochs: defaultdict[str, list[int]] = defaultdict(list)
        for name, epoch, _count, _pos in self.epochs:
            epochs[name].append(epoch)
        for name, row in self.inboxes.items():
            if producers[name] != row[5]:
                why = f"{producers[name]} of its {row[5]} producers are sound"
            elif epochs[name] != list(range(1, row[6] + 1)):
                why = f"of its epochs 1 to {row[6]} some are missing"
            elif row[1] and name not in self.bucket_next:
                why = "its positions in buckets are missing"
            else:
                continue
            self.quarantined.setdefault(name, why)

    def recovered(self) -> Recovered:
        """Return what a core may know."""
        out = self.quarantined

        def trusted(name: str) -> bool:
            return name in self.inboxes and name not in out

        return Recovered(
            producers=tuple(
                ProducerMark(
                    producer=unsigned(producer),
                    inbox=inbox,
                    n_next=n_next,
                    last_first=first,
                    last_digest=unsigned(digest),
                )
                for producer, inbox, n_next, first, digest, _seen_s in self.producers
                if trusted(inbox)
            ),
            inboxes=tuple(
                InboxMark(
                    inbox=name, pos_next=pos_next, cursor=cursor, session=session, floor=floor
                )
                for name, pos_next, cursor, session, floor, *_ in self.inboxes.values()
                if trusted(name)
            ),
            epochs=tuple(
                EpochMark(inbox=name, epoch=epoch, bucket_count=bucket_count, pos_first=pos_first)
                for name, epoch, bucket_count, pos_first in self.epochs
                if trusted(name)
            ),
            forgotten=frozenset(unsigned(producer) for (producer,) in self.forgotten),
            quarantined=out,
            inboxes_whole=self.inboxes_whole,
            forgotten_whole=self.forgotten_whole,
            notes=tuple(self.notes),
        )


def _rows_of(db: apsw.Connection, table: str) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Yield the rows of a table, and whether each fits its checksum; columns may hold anything."""
    # A text that is not UTF-8 any more would end the reading of all rows behind it.
    columns = [f"CAST({c} AS BLOB)" if c in TEXTS else c for c in COLUMNS[table]]
    for *values, written in db.execute(f"SELECT {', '.join(columns)}, checksum FROM {table}"):
        for index, column in enumerate(COLUMNS[table]):
            if column in TEXTS and isinstance(values[index], bytes):
                values[index] = _text(values[index])
        yield tuple(values), row_sum(table, *values) == written


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
