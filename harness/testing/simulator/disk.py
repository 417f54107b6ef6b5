"""A store whose unsynced writes outlive the process that wrote them, and no loss of power."""

from __future__ import annotations

from harness.testing.memory_store import MemoryStore
from reference.events import LogSlice, Recovered, Writes
from reference.wire.messages import StoredRow


class SimulatedDisk:
    """A `Store` in memory that keeps apart what was written and what was synced.

    The driver of a simulated core calls `write` and `sync` one after the other, so that its end can
    come between them; `commit` is both. A process that ends leaves `written`, the page cache, as
    it is: the next one finds it. `lose_power` drops what was not synced. Splitting into buckets and
    """

    def __init__(self) -> None:
        self.written = MemoryStore()
        self.synced = MemoryStore()
        self.slow_ns = 0
        """So much longer than usual each stage of a commit may take."""
        self._unsynced: list[Writes] = []

    def write(self, writes: Writes) -> None:
        """Write without syncing; readers see it already.

        Raises:
            StoreFull: `full` is set; nothing happened.
        """
        self.written.commit(writes)
        self._unsynced.append(writes)

    def sync(self) -> None:
        """Make everything written survive a loss of power. See `Store.sync`."""
        full, self.synced.full = self.synced.full, False
        for writes in self._unsynced:
            self.synced.commit(writes)
        self.synced.full = full
        self._unsynced.clear()

    @property
    def unsynced(self) -> int:
        """How many commits were written and not synced."""
        return len(self._unsynced)

    def lose_power(self) -> int:
        """Drop what was not synced; return how many commits that were."""
        dropped = len(self._unsynced)
        self._unsynced.clear()
        if dropped:
            full, self.written = self.written.full, self.synced.copy()
            self.written.full = full
        return dropped

    @property
    def full(self) -> bool:
        """Whether commits are refused as on a full disk."""
        return self.written.full

    @full.setter
    def full(self, full: bool) -> None:
        self.written.full = full

    def recover(self) -> Recovered:
        """Return what was written. See `Store.recover`."""
        return self.written.recover()

    def commit(self, writes: Writes) -> None:
        """Write and sync. See `Store.commit`."""
        self.write(writes)
        self.sync()

    def read(self, inbox: str, pos_first: int, pos_upto: int, bytes_max: int) -> LogSlice:
        """Return written messages. See `Store.read`."""
        return self.written.read(inbox, pos_first, pos_upto, bytes_max)

    def rows(
        self, inbox: str, after_pos: int, after_bucket: int
    ) -> tuple[tuple[StoredRow, ...], bool]:
        """Return written rows. See `Store.rows`."""
        return self.written.rows(inbox, after_pos, after_bucket)

    def gauges(self) -> dict[str, int]:
        """Nothing here has a limit. See `Store.gauges`."""
        return {}

    def close(self) -> None:
        """Nothing to let go of."""
