"""Runs of messages at known positions, the form in which checks compare the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers.intervals import KEY_BITS, NEVER, Column, Steps


@dataclass(frozen=True, slots=True)
class Lines:
    """Runs of messages at known positions: key and position rise together, by one.

    Attributes:
        key, end: The messages [key, end).
        pos: The position of `key`.
        inbox, stream: Whose they are.
    """

    key: Column
    end: Column
    pos: Column
    inbox: Column
    stream: Column

    @property
    def count(self) -> Column:
        """Messages of each run."""
        return self.end - self.key

    def holders(self) -> Steps:
        """Return by place (`place_of`) how far the key of the message there is from the place."""
        begin = place_of(self.inbox, self.pos)
        return Steps.of(begin, begin + self.count, self.key - begin)


def place_of(inbox: Column | int, pos: Column) -> Column:
    """Return positions of inboxes as numbers on one line."""
    return inbox << KEY_BITS | pos


def held_at(holders: Steps, place: Column) -> Column:
    """Return the key of the message at each place, -1 where none is known."""
    apart = holders.at(place, NEVER)
    return np.where(apart == NEVER, -1 - place, apart) + place


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Stored messages that the log does not have where an inspection found them.

    Attributes:
        key, pos: The messages, and where they are stored.
        asked_ns: When the inspection began, -1 where it does not say.
        held: The message that the log has at this position instead, -1 for none.
    """

    key: Column
    pos: Column
    asked_ns: Column
    held: Column


@dataclass(frozen=True, slots=True)
class Pieces:
    """The log cut so fine that each piece has one I, C, D and U. NEVER stands for infinity."""

    lines: Lines
    invoked: Column
    ok: Column
    first: Column

    @property
    def until(self) -> Column:
        """U: the effect had happened by then."""
        return np.minimum(self.ok, self.first)
