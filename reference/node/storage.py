"""The store's two threads: one commits, one reads, so that each keeps its own connection.

The event loop never blocks on the disk, and a commit never waits behind a read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

import anyio
from anyio import from_thread, to_thread
from anyio.lowlevel import EventLoopToken, current_token

from reference.events import (
    Commit,
    CommitRefused,
    Committed,
    Event,
    LogDamaged,
    LogRead,
    ReadLog,
    ReadRows,
    RowsRead,
)
from reference.store.port import Store, StoreDamaged, StoreFull

WARN_EVERY_S: Final = 1.0
"""A refused commit is logged at most so often."""

logger = logging.getLogger("tallystick.node")


class StoreThreads:
    """Carries commits and reads of one store out, in order, and feeds the answers.

    `feed` and `fail` are called in the event loop. `fail` gets whatever error the store raised,
    except that it was full: the caller must end the process then, since nobody knows what became
    of the commit.
    """

    def __init__(
        self,
        store: Store,
        feed: Callable[[Event], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._feed = feed
        self._fail = fail
        self._warn_again_s = 0.0
        self._token: EventLoopToken = current_token()
        self._commits: SimpleQueue[Commit | None] = SimpleQueue()
        self._reads: SimpleQueue[ReadLog | ReadRows | None] = SimpleQueue()
        self._threads = (
            threading.Thread(target=self._run_commits, name="store-commit", daemon=True),
            threading.Thread(target=self._run_reads, name="store-read", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def commit(self, commit: Commit) -> None:
        """Carry a commit out; the machine has at most one under way."""
        self._commits.put(commit)

    def read(self, read: ReadLog | ReadRows) -> None:
        """Carry a read out."""
        self._reads.put(read)

    async def close(self) -> None:
        """Let what is under way come to its end, then close the store."""
        self._commits.put(None)
        self._reads.put(None)
        with anyio.CancelScope(shield=True):
            for thread in self._threads:
                await to_thread.run_sync(thread.join)
            self._store.close()

    def _answer(self, event: Event) -> None:
        try:
            self._feed(event)
        except BaseException as error:
            self._fail(error)

    def _hand_back(self, call: Callable[[], None]) -> None:
        try:
            from_thread.run_sync(call, token=self._token)
        except anyio.RunFinishedError:
            # The event loop is over: nobody waits for the answer any more.
            return

    def _run_commits(self) -> None:
        while (commit := self._commits.get()) is not None:
            event: Event
            try:
                self._store.commit(commit.writes)
                event = Committed(commit_no=commit.commit_no)
            except StoreFull as error:
                self._warn_of_refusal(error)
                event = CommitRefused(commit_no=commit.commit_no)
            except BaseException as error:
                self._give_up(error)
                return
            self._hand_back(lambda event=event: self._answer(event))  # type: ignore[misc]

    def _warn_of_refusal(self, error: StoreFull) -> None:
        now_s = time.monotonic()
        if now_s >= self._warn_again_s:
            self._warn_again_s = now_s + WARN_EVERY_S
            logger.warning("commits are refused: %s", error)

    def _run_reads(self) -> None:
        while (read := self._reads.get()) is not None:
            event: Event
            try:
                event = self._look_up(read)
            except BaseException as error:
                self._give_up(error)
                return
            self._hand_back(lambda event=event: self._answer(event))  # type: ignore[misc]

    def _look_up(self, read: ReadLog | ReadRows) -> Event:
        match read:
            case ReadLog():
                try:
                    log = self._store.read(
                        read.inbox, read.pos_first, read.pos_upto, read.bytes_max
                    )
                except StoreDamaged as error:
                    logger.error("the store is damaged, its inbox is not delivered: %s", error)
                    return LogDamaged(read_no=read.read_no)
                return LogRead(read_no=read.read_no, inbox=read.inbox, log=log)
            case ReadRows():
                try:
                    rows, more = self._store.rows(read.inbox, read.after_pos, read.after_bucket)
                except StoreDamaged as error:
                    logger.error("the store is damaged, its inbox is not shown: %s", error)
                    return RowsRead(read_no=read.read_no, rows=(), more=False, damaged=True)
                return RowsRead(read_no=read.read_no, rows=rows, more=more)

    def _give_up(self, error: BaseException) -> None:
        self._hand_back(lambda: self._fail(error))
