"""How far an anomaly reaches: which inboxes, between which moments, behind which faults. Pure.

A fault explains damage to a message only if it was asked for before the damage was first seen, and
held at the message's time or struck afterwards. Of several the nearest is taken; what takes a
process or its store away comes before what touches a link only, where messages are gone. A link of
a sender can lose only messages of its own, and none that was acknowledged with its position.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.checkers.facts import Facts
from harness.checkers.intervals import KEY_BITS, NEVER, Column, Mask, Spans, Steps, marks, split
from harness.history.records import FaultMarked
from harness.systems.topology import CLIENT_LINKS

_LINK = "link_"
"""How the kinds of faults begin that touch links only."""

_SENDER = re.compile(r"sender-\d+")
"""How a sender is called that has links for itself (`harness.load.groups`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What is known of the messages that one anomaly concerns; a sum over parts.

    Attributes:
        inboxes: How many messages of each inbox.
        acknowledged: How many of them were acknowledged.
        first_ns, last_ns: The earliest and the latest moment that belongs to them: when each was
            acknowledged, or sent where it never was. `NEVER` and -1 where there is none.
        faults: How many of them each fault may explain, by its id; "" for those that none does.
    """

    inboxes: Mapping[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    first_ns: int = NEVER
    last_ns: int = -1
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All messages."""
        return sum(self.inboxes.values())

    def plus(self, other: Extent) -> Extent:
        """Return both together."""
        return Extent(
            inboxes=Counter(self.inboxes) + Counter(other.inboxes),
            acknowledged=self.acknowledged + other.acknowledged,
            first_ns=min(self.first_ns, other.first_ns),
            last_ns=max(self.last_ns, other.last_ns),
            faults=Counter(self.faults) + Counter(other.faults),
        )


def extent_of(
    facts: Facts, messages: Spans, seen: Steps | None = None, *, gone: bool = False
) -> Extent:
    """Return how far an anomaly of these messages reaches.

    Args:
        facts: Of the part that holds them.
        messages: The messages.
        seen: When the damage to each was first seen; None: when it was delivered first, or else at
            the end.
        gone: They are gone, which a fault of a link explains only where no other fault does.
    """
    if not messages:
        return Extent()
    cuts = [facts.invoked_at.cuts, facts.ok_at.cuts, facts.first_at.cuts]
    _, begins, ends = split(
        messages.begins, messages.ends, marks(*cuts, *([seen.cuts] if seen else []))
    )
    count = ends - begins
    ok = facts.ok_at.at(begins, NEVER)
    sent = facts.invoked_at.at(begins, NEVER)
    moment = np.where(ok < NEVER, ok, sent)
    known = moment < NEVER
    default = facts.index.last_ns
    until = facts.first_at.at(begins, default) if seen is None else seen.at(begins, default)
    if seen is None:
        until = np.maximum(until, np.where(ok < NEVER, ok, until))
    inboxes: Counter[str] = Counter()
    for inbox, messages_of in zip(facts.inbox_of(begins).tolist(), count.tolist(), strict=True):
        inboxes[facts.index.inboxes[inbox]] += messages_of
    return Extent(
        inboxes=inboxes,
        acknowledged=int(count[ok < NEVER].sum()),
        first_ns=int(moment[known].min()) if known.any() else NEVER,
        last_ns=int(moment[known].max()) if known.any() else -1,
        faults=_blamed(
            facts.index.faults,
            sent,
            moment,
            until,
            count,
            _losable(facts, begins) if gone else None,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One fault as its marks in the history tell it."""

    id: str
    kind: str
    targets: tuple[str, ...]
    requested_ns: int
    healed_ns: int

    @property
    def senders(self) -> frozenset[str]:
        """The senders whose links it touched; nobody where it touched anything else too."""
        names = {target: target.rpartition(":")[2] for target in self.targets}
        ours = all(
            target.startswith(CLIENT_LINKS) and _SENDER.fullmatch(name)
            for target, name in names.items()
        )
        return frozenset(names.values() if ours else ())


def struck(faults: Sequence[FaultMarked]) -> list[Struck]:
    """Return the faults that had an effect, in the order in which they were asked for."""
    by_id: dict[str, list[FaultMarked]] = {}
    for mark in faults:
        by_id.setdefault(mark.fault, []).append(mark)
    found = [
        Struck(
            id=name,
            kind=marked[0].kind,
            targets=tuple(sorted({m.target for m in marked if m.effective})),
            requested_ns=marked[0].t_ns,
            healed_ns=marked[-1].t_ns if marked[-1].state == "healed" else NEVER,
        )
        for name, marked in by_id.items()
        if any(mark.effective for mark in marked)
    ]
    return sorted(found, key=lambda one: one.requested_ns)


def _losable(facts: Facts, begins: Column) -> Callable[[Struck], Mask]:
    """Return what says which messages a fault on links may have taken on their way."""
    producers, row = np.unique(facts.stream_producer[begins >> KEY_BITS], return_inverse=True)
    names = np.array([facts.run.senders.get(int(one), "") for one in producers])[row]

    def losable(fault: Struck) -> Mask:
        if not fault.senders:
            return np.ones(len(begins), dtype=np.bool_)
        theirs: Mask = (names == "") | np.isin(names, list(fault.senders))
        return theirs & ~facts.placed.contains(begins)

    return losable


def _blamed(
    faults: Sequence[FaultMarked],
    sent: Column,
    moment: Column,
    until: Column,
    count: Column,
    losable: Callable[[Struck], Mask] | None,
) -> Counter[str]:
    """Return how many messages each fault may explain.

    Args:
        faults: The marks of all.
        sent: When each message was sent.
        moment: When it was acknowledged, or else sent.
        until: When its damage was seen.
        count: How many messages each row stands for.
        losable: They are gone: says which of them a fault on links may have taken.
    """
    best = np.full(len(count), NEVER, dtype=np.int64)
    which = np.full(len(count), -1, dtype=np.int64)
    found = struck(faults)
    for number, fault in enumerate(found):
        may = (fault.requested_ns <= until) & (fault.healed_ns >= np.minimum(sent, moment))
        apart = np.clip(fault.requested_ns - moment, 0, NEVER >> 2)
        if losable is not None and fault.kind.startswith(_LINK):
            apart = apart + (NEVER >> 2)
            may &= losable(fault)
        # Of two that are equally near the later one is.
        nearer = may & (apart <= best)
        best = np.where(nearer, apart, best)
        which = np.where(nearer, number, which)
    blamed: Counter[str] = Counter()
    for number, messages in zip(which.tolist(), count.tolist(), strict=True):
        blamed[found[number].id if number >= 0 else ""] += messages
    return blamed
