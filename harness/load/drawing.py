"""The draw: what a seed adds to a plan (`harness.load.variety`). Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from harness.load.odd_names import odd_names
from harness.load.roster import RECUT_EVERY
from harness.load.variety import SECOND_DEVICE, Drawn, Variety
from harness.scenario.extras import Extra, Moves
from harness.scenario.performed import phases_of
from harness.scenario.phases import (
    DEVICE,
    AskPresence,
    Inspect,
    Load,
    Login,
    Phase,
    Promote,
    Send,
    Stream,
)
from harness.scenario.scenario import PayloadSpec, Plan
from harness.systems.promises import Ability
from harness.systems.takes import Takes

KIB = 1024

RARE_EVERY_MIN = 128
"""At most one in so many messages of a plan's own streams has a rare size."""

RARE_BYTES_MAX = 72 * KIB
"""Largest of these rare sizes; larger messages come from extras alone, which are few."""

BATCH_BYTES_LARGE = 256 * KIB
"""What a large batch is larger than, where the system takes that."""

BATCH_COUNT_MOST = 1_000
"""Messages of the largest batches of an extra: a small share of any load."""

MANY_MESSAGES = 65_536
"""What one sender may exceed: numbers of 16 bits begin again there."""

LONG_BYTES_MAX = 8
"""Largest of these messages, which are many."""

LONG_BATCHES_MAX = 200
"""Batches that such a sender takes at most; a system that takes small ones gets fewer messages."""

LONG_SHARE, CROWD_SHARE = 0.3, 0.3
"""Share of the seeds that draw a sender of so many messages, and hundreds of senders of one."""

CROWD_MIN, CROWD_MAX = 130, 300
"""Senders of one message each to one inbox."""

_EDGE_IDS = tuple(
    number
    for power in (8, 15, 16, 31, 32, 53, 63, 64)
    for number in (2**power - 1, 2**power, 2**power + 1)
    if number < 2**64
)


def draw(plan: Plan, takes: Takes, abilities: Collection[Ability], seed: str) -> Variety:
    """Return what a seed draws for a plan that is fitted to a system.

    Args:
        plan: As it applies to the system.
        takes: What the system takes of its clients.
        abilities: What can be done to the system.
        seed: `Parameters.seed_for("variety")`.

    A plan that does not vary, or whose own phases send nothing, draws nothing.
    """
    places = _places(plan.phases)
    if not plan.vary or not places:
        return Variety()
    return _Drawing(plan, takes, random.Random(seed), places).all_of_it(Ability.RESIZE in abilities)


def _places(phases: Sequence[Phase]) -> list[int]:
    """Return where extras may send: with a load, before a `Send`, before the first labelled load.

    Labelled loads are held against each other, so nothing is added to them.
    """
    free = [
        index
        for index, phase in enumerate(phases)
        if isinstance(phase, Send) or (isinstance(phase, Load) and not phase.label)
    ]
    return free or [index for index, phase in enumerate(phases) if isinstance(phase, Load)][:1]


def _names_in(phases: Sequence[Phase]) -> set[str]:
    """Return every inbox that a plan names."""
    found: set[str] = set()
    for phase in phases_of(phases):
        match phase:
            case Send(stream=Stream(to=to)):
                found.update(to)
            case Load(streams=streams, during=during):
                found.update(inbox for stream in streams for inbox in stream.to)
                found.update(one.inbox for _, one in during if isinstance(one, Promote))
            case Promote(inbox=inbox):
                found.add(inbox)
            case Login(inboxes=inboxes) | Inspect(inboxes=inboxes) | AskPresence(users=inboxes):
                found.update(inboxes)
            case _:
                pass
    return found


def _streams_in(phases: Sequence[Phase]) -> Iterator[Stream]:
    for phase in phases_of(phases):
        match phase:
            case Send(stream=stream):
                yield stream
            case Load(streams=streams):
                yield from streams
            case _:
                pass


class _Drawing:
    """One draw. Each method takes its part from the one stream of random numbers, in order."""

    def __init__(self, plan: Plan, takes: Takes, rng: random.Random, places: Sequence[int]) -> None:
        self._plan = plan
        self._takes = takes
        self._rng = rng
        self._places = places
        self._ids = rng.sample(_EDGE_IDS, len(_EDGE_IDS))
        self._varies = plan.payload.varies
        self._extras: list[tuple[int, Extra]] = []
        self._payloads: dict[str, PayloadSpec] = {}
        self._told: list[Drawn] = []

    def all_of_it(self, resizes: bool) -> Variety:
        """Draw everything."""
        names = odd_names(self._rng, _names_in(self._plan.phases), self._takes, 7)
        sized, twin, heavy, crowded, long, roamed, moved = names
        own = self._rare_in_own() if self._varies else None
        self._sizes(sized, twin)
        self._batches(heavy)
        if self._rng.random() < CROWD_SHARE:
            self._crowd(crowded)
        # So much would wait in one inbox that what a plan requires to wait shows nothing.
        if self._rng.random() < LONG_SHARE and not self._plan.requires.backlog:
            self._long(long)
        self._roamer((sized, twin, heavy, roamed))
        moves = self._moves()
        if moves is not None:
            self._mover((moved,), moves)
        used = tuple(dict.fromkeys(inbox for _, extra in self._extras for inbox in extra.to))
        self._tell("inboxes", used)
        recut_count = self._recut() if self._takes.recuts else 0
        promotions = self._promotions(used) if resizes else ()
        logins = tuple(self._logins([one for one in used if one != moved], moves, moved))
        return Variety(
            extras=tuple(sorted(self._extras, key=lambda one: one[0])),
            own=own,
            payloads=self._payloads,
            promotions=promotions,
            logins=logins,
            recut_count=recut_count,
            told=tuple(self._told),
        )

    def _tell(self, what: str, values: Sequence[int | str], unit: str = "") -> None:
        if values:
            self._told.append(Drawn(what=what, values=tuple(values), unit=unit))

    def _add(
        self,
        kind: str,
        to: tuple[str, ...],
        senders: int,
        batches: Sequence[int],
        *,
        churns: bool = True,
        leaves: bool = False,
        moves: Moves | None = None,
    ) -> None:
        """Add senders of one kind to a phase that is drawn."""
        ids = tuple(
            self._ids.pop() if self._ids and self._rng.random() < 0.5 else self._fresh_id()
            for _ in range(senders)
        )
        extra = Extra(
            kind=kind,
            to=to,
            producers=ids,
            batches=tuple(batches),
            churns=churns,
            leaves=leaves,
            moves=moves,
        )
        self._extras.append((self._rng.choice(self._places), extra))

    def _fresh_id(self) -> int:
        """Return an id that is none of the edge ones, as the roster's are."""
        return self._rng.getrandbits(63) | 1 << 62

    def _rare_in_own(self) -> PayloadSpec | None:
        """Return what the plan's own messages are like with rare sizes, where those have room."""
        payload, takes = self._plan.payload, self._takes
        most = max((one.batch_count for one in _streams_in(self._plan.phases)), default=1)
        room = takes.batch_bytes_max - most * payload.largest_bytes
        top = min(room, takes.payload_bytes_max, RARE_BYTES_MAX)
        if payload.kind == "numbered" or payload.sizes_bytes or top < 1:
            return None
        sizes = [0, 1, 0, min(top, self._rng.choice((7, 8, 9))), 1, self._near_a_power(1, 14, top)]
        sizes += [self._near_a_power(8, 16, top), 0, 1, self._between(32 * KIB, top)]
        self._rng.shuffle(sizes)
        every = max(RARE_EVERY_MIN, 2 * most)
        self._tell(f"sizes of one in {every:,} messages", sorted(set(sizes)), "bytes")
        return replace(payload, rare_bytes=tuple(sizes), rare_every=every)

    def _near_a_power(self, low: int, high: int, top: int) -> int:
        """Return a power of two between two powers, or a neighbour of it, cut to `top`."""
        return min(top, (1 << self._rng.randint(low, high)) + self._rng.choice((-1, 0, 1)))

    def _between(self, low: int, top: int) -> int:
        """Return a number above `low` up to `top`; `top` where that is no more."""
        return self._rng.randint(low + 1, top) if top > low else top

    def _sizes(self, *to: str) -> None:
        """Add senders of messages from 0 bytes to the largest that there are."""
        takes = self._takes
        largest = self._plan.payload.largest_bytes
        if self._varies:
            largest = top = min(takes.payload_bytes_max, takes.batch_bytes_max)
            sizes = [0, 1, top, top - 1, self._between(32 * KIB, min(top, 64 * KIB))]
            sizes += [self._near_a_power(1, 17, top), self._near_a_power(1, 17, top)]
            sizes += [self._between(64 * KIB, top), 0]
            self._rng.shuffle(sizes)
            spec = PayloadSpec(sizes_bytes=tuple(sizes), varies=True)
            self._payloads.update(dict.fromkeys(to, spec))
            self._tell("sizes", sorted(set(sizes)), "bytes")
        count_most = min(3, takes.batch_count_max, takes.batch_bytes_max // max(1, largest))
        count_most = max(1, count_most)
        batches = [self._rng.randint(1, count_most) for _ in range(10)]
        self._add("sizes", to, 2, batches)

    def _batches(self, to: str) -> None:
        """Add senders of batches near the limit, each followed by one of a single message."""
        takes = self._takes
        most = min(BATCH_COUNT_MOST, takes.batch_count_max)
        size = self._plan.payload.largest_bytes
        if self._varies:
            count = min(most, self._rng.choice((5, 33, 127, 257, 999)))
            large = min(takes.batch_bytes_max, BATCH_BYTES_LARGE)
            least, top = -(-large // count), min(takes.batch_bytes_max // count,
                                                 takes.payload_bytes_max)  # fmt: skip
            size = self._rng.randint(min(least, top), top)
            spec = PayloadSpec(size_bytes_min=size, size_bytes_max=size, varies=True)
            self._payloads[to] = spec
        full = max(1, min(most, takes.batch_bytes_max // max(1, size)))
        half = max(1, full // 2)
        batches = (full, 1, half, min(2, full), full, max(1, half - 1))
        self._tell("batches", sorted(set(batches)), f"messages of {size:,} bytes")
        self._add("batches", (to,), 2, batches)

    def _crowd(self, to: str) -> None:
        """Add many senders of a single message each."""
        senders = min(self._takes.senders_more, self._rng.randint(CROWD_MIN, CROWD_MAX))
        if senders:
            self._tell("senders of one message each to one inbox", (senders,))
            self._add("crowd", (to,), senders, (1,), churns=False, leaves=True)

    def _long(self, to: str) -> None:
        """Add one sender of very many messages, of few bytes where the plan lets them vary."""
        takes = self._takes
        more = min(takes.messages_more, MANY_MESSAGES + self._rng.randint(10, 3_000))
        size = self._plan.payload.largest_bytes
        if self._varies:
            size = min(LONG_BYTES_MAX, takes.payload_bytes_max, takes.batch_bytes_max)
            self._payloads[to] = PayloadSpec(size_bytes_min=0, size_bytes_max=size, varies=True)
        most = min(4_000, takes.batch_count_max, takes.batch_bytes_max // max(1, size))
        more = left = min(more, most * LONG_BATCHES_MAX)
        if not more:
            return
        batches: list[int] = []
        while left:
            batches.append(min(left, self._rng.randint(-(-most // 2), most)))
            left -= batches[-1]
        self._tell("messages of one sender", (more,))
        self._add("long", (to,), 1, batches)

    def _roamer(self, to: tuple[str, ...]) -> None:
        """Add senders that write to several inboxes in turn, message by message."""
        count = self._rng.randint(2, len(to))
        chosen = tuple(self._rng.sample(to, count))
        self._tell("inboxes of one sender", (count,))
        self._add("roamer", chosen, 2, [1] * (4 * count))

    def _moves(self) -> Moves | None:
        """Draw how somebody moves between the nearest edge and the farthest, if there are two."""
        topology = self._plan.topology
        by_distance = sorted(topology.edges, key=lambda edge: topology.latency_ms.get(edge, 0))
        if len(by_distance) < 2:
            return None
        return Moves(
            between=(by_distance[0], by_distance[-1]), every_s=self._rng.choice((0.1, 0.2, 0.4))
        )

    def _mover(self, to: tuple[str, ...], moves: Moves) -> None:
        """Add senders that move while they send to somebody who moves."""
        self._tell("moves between two edges every", (round(moves.every_s * 1_000),), "ms")
        batches = [self._rng.randint(1, 3) for _ in range(12)]
        if self._takes.batch_bytes_max < 3 * self._plan.payload.largest_bytes + RARE_BYTES_MAX:
            batches = [1] * 12
        batches = [min(one, self._takes.batch_count_max) for one in batches]
        self._add("mover", to, 2, batches, churns=False, moves=moves)

    def _logins(self, used: Sequence[str], moves: Moves | None, moved: str) -> Iterator[Login]:
        """Yield logins of some of the inboxes, some on a device of their own."""
        # What one sender of very many messages sends is read as it comes, so it does not pile up.
        long = {to for _, extra in self._extras if extra.kind == "long" for to in extra.to}
        read = [inbox for inbox in used if inbox in long or self._rng.random() < 0.5]
        shared = [inbox for inbox in read if self._rng.random() < 0.4]
        self._tell("users with two devices", shared)
        alone = [inbox for inbox in read if inbox not in shared]
        for device, inboxes in ((DEVICE, alone), (SECOND_DEVICE, shared)):
            if inboxes:
                yield Login(inboxes=tuple(inboxes), device=device)
        if moves is not None:
            yield Login(inboxes=(moved,), moves=moves)

    def _recut(self) -> int:
        """Return into batches of how many messages some senders cut what they send again."""
        most = max((one.batch_count for one in _streams_in(self._plan.phases)), default=1)
        count = self._rng.randint(1, max(2, most + most // 2))
        self._tell(f"batches of what every {RECUT_EVERY}rd sender sends again", (count,), "at most")
        return count

    def _promotions(self, inboxes: tuple[str, ...]) -> tuple[Promote, ...]:
        """Give one inbox the most buckets that can tell a byte too few, and another some."""
        top = self._takes.bucket_count_max
        counts = [self._between(256, top), min(top, self._rng.choice((2, 3, 64, 255, 256)))]
        chosen = self._rng.sample(inboxes, min(len(inboxes), len(counts)))
        self._tell("buckets", counts[: len(chosen)])
        return tuple(
            Promote(inbox=inbox, bucket_count=count)
            for inbox, count in zip(chosen, counts, strict=False)
        )
