"""What each account takes of what all share: producers, and inboxes that nobody has ever read.

An inbox is made by the first message to it or by its reader's login. Its reader's is bounded by the
tokens that were given out; what senders make is charged to them, until somebody logs in to it.
Nothing of this is stored: it is counted again from the producers that a core recovers.
"""

from __future__ import annotations

from collections import Counter

from reference.identity import account_of


class Accounts:
    """Counts (producer, inbox) pairs by the account that the producer belongs to."""

    def __init__(self) -> None:
        self._producers: Counter[int] = Counter()
        self._unread: Counter[int] = Counter()
        self._senders: dict[str, list[int]] = {}
        """Who is charged for an inbox that nobody has ever read, once per producer."""

    def producers(self, account: int) -> int:
        """Return how many (producer, inbox) pairs an account has."""
        return self._producers[account]

    def unread(self, account: int) -> int:
        """Return how many of them are to inboxes that nobody has ever logged in to."""
        return self._unread[account]

    def add(self, producer: int, inbox: str, *, was_read: bool) -> None:
        """Count a pair that the core did not know."""
        account = account_of(producer)
        self._producers[account] += 1
        if not was_read:
            self._unread[account] += 1
            self._senders.setdefault(inbox, []).append(account)

    def remove(self, producer: int, inbox: str) -> None:
        """Take a pair back whose first commit was refused."""
        account = account_of(producer)
        self._producers[account] -= 1
        senders = self._senders.get(inbox, [])
        if account in senders:
            self._unread[account] -= 1
            senders.remove(account)

    def read(self, inbox: str) -> None:
        """Charge nobody for an inbox any more: somebody has logged in to it, durably."""
        for account in self._senders.pop(inbox, ()):
            self._unread[account] -= 1
