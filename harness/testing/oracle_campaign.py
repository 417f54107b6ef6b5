"""Many random histories, each judged by the checkers and by the oracle; they must agree on all.

``python -m harness.testing.oracle_campaign --histories 100000 --seed 1`` prints how many histories
held each anomaly, and every disagreement. Each history is judged three times: by `oracle`, by the
checkers at once, and by the checkers cut into eras as often as that can be. Some are of no system
at all, some of a sound one, in which nothing may be found, and some of that with records spoiled.
B4 and B5 are compared with one more judge, which tries all orders (`search_order`), where the
history is small enough.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from harness.checkers.check import Spec, all_checks
from harness.checkers.fold import fold
from harness.checkers.ranges import Ranges
from harness.checkers.run_facts import RunFacts
from harness.history.records import Record
from harness.report.result import Check, CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import Scribbler, plain_digest
from harness.testing.oracle import oracle
from harness.testing.search_order import append_order_exists, draw_operations, order_exists
from harness.testing.sound_histories import SoundSystem, spoil

COMPARED = (
    "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12", "A13",
    "A14", "A15", "A16", "A17", "B1", "B2", "B3", "B4", "B5", "B6", "B7",
    "C2", "C3", "C4", "C5", "C7", "C8", "C9", "D1", "D7", "D8", "D9",
)  # fmt: skip
"""The rows that the oracle defines."""

CHOSEN = (Promise.DENSE_POSITIONS, Promise.FIFO_PIPELINED)
"""Promises that change what a row means; each history draws them."""

AT_LEAST = frozenset({"C3"})
"""Rows that a history in several parts may count too low; never to zero."""

TRIMS_SHARE = 0.25
"""Share of the histories whose store may drop what was acknowledged."""

IN_PARTS_EACH = 4
"""One history in so many is judged in parts too."""

SOUND_EACH = 10
"""One history in so many is of a sound system, in which nothing may be found."""

NO_ALARM = frozenset({"D1", "D8"})
"""What may be found in it: the model loses answers, and promises no speed."""

SPOILED_EACH = 10
"""One in so many is such a history with a few records spoiled."""

CHUNK = 250

PRESENCE_BOUND_NS = 25
"""Within the few ticks of a random history something must be able to pass it."""

DELIVERY_BOUND_NS = 4
"""Likewise."""


@dataclass(frozen=True, kw_only=True)
class Requires:
    """Nothing is required of so small a history."""

    sends_ok: int = 0
    delivered: int = 0
    sender_reconnects: int = 0
    receiver_reconnects: int = 0
    sender_reconnects_each: int = 0
    receiver_reconnects_each: int = 0
    resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0
    own_resizes: int = 0


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a campaign found. `found` counts histories per anomaly, `parts` per number of parts."""

    histories: int = 0
    anomalous: int = 0
    sound: int = 0
    found: Counter[str] = field(default_factory=Counter)
    searched: int = 0
    not_linearizable: int = 0
    in_parts: int = 0
    disagreements: list[str] = field(default_factory=list)

    def take(self, other: Tally) -> None:
        """Add another one."""
        self.histories += other.histories
        self.anomalous += other.anomalous
        self.sound += other.sound
        self.found += other.found
        self.searched += other.searched
        self.not_linearizable += other.not_linearizable
        self.in_parts += other.in_parts
        self.disagreements += other.disagreements


def compared_checks() -> list[Spec]:
    """Return the checks of COMPARED."""
    return [spec for spec in all_checks() if spec.id in COMPARED]


def run_facts(promises: frozenset[Promise], *, trims: bool = False) -> RunFacts:
    """Return what is known of a random history."""
    return RunFacts(
        promises=promises, requires=Requires(), expected_digest=plain_digest, trims=trims
    )


def instances(checks: Iterable[Check]) -> dict[str, int]:
    """Return instances by id of the checks that apply.

    Raises:
        AssertionError: A check broke.
    """
    checks = list(checks)
    broken = [check for check in checks if check.status is CheckStatus.ERROR]
    assert not broken, broken
    return {c.id: c.instances for c in checks if c.status is not CheckStatus.NOT_APPLICABLE}


def draw(seed: int, rng: random.Random, *, trims: bool) -> list[Record]:
    """Return the history of a seed: a sound one, a spoiled one, or one of no system at all."""
    if seed % SOUND_EACH == 0:
        return SoundSystem(seed, trims=trims).write()
    if seed % SPOILED_EACH == 1:
        return spoil(SoundSystem(seed, trims=trims).write(), rng)
    return Scribbler(seed).write()


def compare(seed: int, specs: Sequence[Spec], tally: Tally) -> None:
    """Judge the history of a seed in every way and add what came out."""
    rng = random.Random(seed)
    kept = {promise for promise in CHOSEN if rng.random() < 0.5}
    promises = frozenset(set(Promise) - set(CHOSEN) | kept)
    trims = rng.random() < TRIMS_SHARE
    records = draw(seed, rng, trims=trims)
    run = replace(
        run_facts(promises, trims=trims),
        presence_bound_ns=PRESENCE_BOUND_NS,
        delivery_bound_ns=DELIVERY_BOUND_NS,
    )
    mine = instances(fold(records, run, specs).checks)
    known = oracle(records, run)
    truth = {check_id: known.get(check_id, 0) for check_id in mine}
    tally.histories += 1
    tally.anomalous += any(count for check_id, count in truth.items() if check_id != "D1")
    tally.found.update(check_id for check_id, count in truth.items() if count)
    if seed % SOUND_EACH == 0:
        tally.sound += 1
        alarms = {check_id: n for check_id, n in mine.items() if n and check_id not in NO_ALARM}
        if alarms:
            tally.disagreements.append(f"seed {seed}: alarms in a sound history: {alarms}")
    if mine != truth:
        tally.disagreements.append(f"seed {seed}: checkers and oracle: {_differ(mine, truth)}")
    if seed % IN_PARTS_EACH == 0:
        ranges = Ranges(rng.choice((2, 8)), rng.choice((1, 3, 8)), rng.choice((1, 2, 4)))
        apart = instances(fold(records, run, specs, ranges).checks)
        tally.in_parts += len(ranges.parts()) > 1
        _compare_parts(seed, apart, mine, tally)
    _search(seed, records, mine, tally)


def _compare_parts(seed: int, apart: dict[str, int], mine: dict[str, int], tally: Tally) -> None:
    for check_id in AT_LEAST & {*apart}:
        if 0 < apart[check_id] <= mine[check_id]:
            apart[check_id] = mine[check_id]
    if apart != mine:
        tally.disagreements.append(f"seed {seed}: in parts and whole: {_differ(apart, mine)}")


def compare_order(seed: int, specs: Sequence[Spec], tally: Tally) -> None:
    """Judge B4 and B5 of a history of a few operations, and search for an order."""
    records = draw_operations(random.Random(seed))
    mine = instances(fold(records, run_facts(frozenset(Promise)), specs).checks)
    _search(seed, records, {"A3": 0, "A6": 0, "A7": 0} | mine, tally)


def _search(seed: int, records: Sequence[Record], mine: dict[str, int], tally: Tally) -> None:
    if mine["A3"] or mine["A6"] or mine["A7"]:
        return  # No order to search for: delivered before it was sent, or not one place for each.
    appends, all_operations = append_order_exists(records), order_exists(records)
    if appends is None or all_operations is None:
        return
    tally.searched += 1
    tally.not_linearizable += not all_operations
    if appends == bool(mine["B4"]):
        tally.disagreements.append(f"seed {seed}: B4 {mine['B4']}, an order exists: {appends}")
    if all_operations == bool(mine["B4"] or mine["B5"]):
        tally.disagreements.append(
            f"seed {seed}: B4 {mine['B4']}, B5 {mine['B5']}, an order exists: {all_operations}"
        )


def _differ(one: dict[str, int], other: dict[str, int]) -> str:
    return ", ".join(
        f"{check_id} {count} and {other.get(check_id)}"
        for check_id, count in one.items()
        if other.get(check_id) != count
    )


def campaign(seeds: range, *, orders: bool = False) -> Tally:
    """Return what came out for these seeds; `orders`: of B4 and B5 in a few operations only."""
    specs = compared_checks()
    tally = Tally()
    if orders:
        specs = [spec for spec in specs if spec.id in ("B4", "B5")]
        tally.histories = len(seeds)
    for seed in seeds:
        (compare_order if orders else compare)(seed, specs, tally)
    return tally


def main() -> None:
    """Carry out a campaign over all processors and print what came out; 1 if any disagrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="The first of them.")
    parser.add_argument("--orders", action="store_true", help="B4 and B5 in 2 to 6 operations.")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    stop = chosen.seed + chosen.histories
    pieces = [range(at, min(at + CHUNK, stop)) for at in range(chosen.seed, stop, CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(chosen.processes) as pool:
        for number, tally in enumerate(pool.map(partial(campaign, orders=chosen.orders), pieces)):
            total.take(tally)
            if number % 40 == 39:
                sys.stderr.write(f"{total.histories:,} histories\n")
    for line in total.disagreements[:50]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"{total.histories:,} histories from seed {chosen.seed} on, {total.anomalous:,} anomalous, "
        f"{total.sound:,} of a sound system, "
        f"{total.in_parts:,} judged in several parts too, {total.searched:,} searched for an order "
        f"({total.not_linearizable:,} have none), {len(total.disagreements)} disagreements\n"
    )
    for check_id in COMPARED if not chosen.orders else ():
        sys.stdout.write(f"  {check_id:4} {total.found[check_id]:>9,} histories\n")
    sys.exit(1 if total.disagreements else 0)


if __name__ == "__main__":
    main()
