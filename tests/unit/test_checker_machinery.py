"""Statuses, the registry, routes, numbers: what stands around the checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.checkers.check import Check, Clue, Found, Spec, all_checks, check
from harness.checkers.facts import Facts
from harness.checkers.fold import Fold, fold
from harness.checkers.imbalance import chi_square_above
from harness.checkers.index import Index
from harness.checkers.intervals import GrowingSet, Spans, Steps, column, depths, split
from harness.checkers.route import splitmix64_xxh3
from harness.checkers.run_facts import RunFacts
from harness.errors import DamagedHistory
from harness.history.index import write_index
from harness.history.reader import read_folder
from harness.history.recorder import Recorder
from harness.history.records import (
    Completed,
    Connected,
    Delivered,
    DeliveredRun,
    FaultMarked,
    GaugeSeen,
    Invoked,
    Record,
)
from harness.load.payloads import Payloads
from harness.report.explain import ANOMALY_IDS
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import plain_digest, read_written
from harness.testing.oracle import in_order
from reference.wire.bucket_hash import bucket_range

SOUND = Path(__file__).parent.parent / "histories" / "A1-everything-arrives.ok.json"


@dataclass(frozen=True)
class Requires:
    """What a run must hold."""

    sends_ok: int = 1
    delivered: int = 1
    sender_reconnects: int = 0
    receiver_reconnects: int = 0
    sender_reconnects_each: int = 0
    receiver_reconnects_each: int = 0
    resizes: int = 0
    own_resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0


def run_facts(**changes: Any) -> RunFacts:
    known: dict[str, Any] = {
        "promises": frozenset(Promise),
        "requires": Requires(),
        "expected_digest": plain_digest,
        "route": "splitmix64-xxh3",
    }
    return RunFacts(**(known | changes))


def sound() -> list[Record]:
    return in_order(read_written(SOUND).records)


def statuses(records: list[Record], **changes: Any) -> dict[str, CheckStatus]:
    return {c.id: c.status for c in fold(records, run_facts(**changes)).checks}


def test_the_ids_are_known_and_in_order() -> None:
    # Those that are explained are those of docs/invariants.md, as `test_report_explain` sees.
    ids = [spec.id for spec in all_checks()]
    assert [check_id for check_id in ids if check_id in ANOMALY_IDS] == list(ANOMALY_IDS)


def test_a_taken_id_is_refused() -> None:
    with pytest.raises(ValueError, match="'A1' is registered twice"):
        check("A1", "AGAIN", "again")(lambda _facts: Found(examined=1))


@pytest.mark.parametrize("spec", all_checks(), ids=lambda spec: spec.id)
def test_an_empty_history_passes_nothing(spec: Spec) -> None:
    (result,) = fold([], run_facts(), [spec]).checks
    assert result.status in (CheckStatus.UNKNOWN, CheckStatus.NOT_APPLICABLE)
    assert result.reason
    if result.status is CheckStatus.NOT_APPLICABLE:
        # Only where the question was not asked: no resize, no presence, no buckets to compare, no
        # reader that waited, no link that was silent.
        assert spec.id in ("C6", "C7", "D6", "D8", "D9", "E2")


@pytest.mark.parametrize("spec", all_checks(), ids=lambda spec: spec.id)
def test_what_is_not_promised_does_not_apply(spec: Spec) -> None:
    (result,) = fold(sound(), run_facts(promises=frozenset()), [spec]).checks
    if spec.needs is not None:
        assert result.status is CheckStatus.NOT_APPLICABLE
        assert spec.needs.value in result.reason


def made_of(make: Callable[[], Check]) -> Spec:
    return Spec(id="Z1", name="Z", meaning="", needs=None, found=CheckStatus.FAIL, make=make)


class BreaksAtTheEnd:
    """A check with a fault."""

    def finish(self, facts: Facts) -> Found:
        raise KeyError(facts.index.last_ns)


class BreaksOnARecord:
    """A check with a fault that shows while records pass."""

    sees = (Invoked,)

    def see(self, record: Invoked, index: Index, run: RunFacts) -> None:
        raise RuntimeError(f"{record.n_first} {index.last_ns} {run.route}")

    def finish(self, facts: Facts) -> Found:
        return Found(examined=len(facts.index.streams))


@pytest.mark.parametrize("make", [BreaksAtTheEnd, BreaksOnARecord])
def test_a_check_that_breaks_is_an_error(make: Callable[[], Check]) -> None:
    judgement = fold(sound(), run_facts(), [made_of(make)])
    assert [c.status for c in judgement.checks] == [CheckStatus.ERROR]
    assert "Error" in judgement.checks[0].reason
    assert judgement.counts.delivered == 3


class FindsMany:
    """A check that finds more than can be shown."""

    def finish(self, facts: Facts) -> Found:
        clues = [Clue(summary=f"{i} {facts.index.last_ns}") for i in range(40)]
        return Found(examined=100, instances=100, clues=clues)


def test_instances_are_complete_and_witnesses_are_not() -> None:
    (result,) = fold(sound(), run_facts(), [made_of(FindsMany)]).checks
    assert (result.instances, len(result.witnesses), result.witnesses_truncated) == (100, 32, True)
    assert "and 99 more" in result.reason


# Numbers


def test_counts_latencies_and_throughput() -> None:
    records = sound()
    records += [
        Connected(95, 0, "sender", "s", "eu", True, "open"),
        Connected(96, 0, "sender", "s", "eu", False, "churn"),
        Connected(97, 0, "sender", "s", "eu", True, "churn"),
        FaultMarked(98, "f1", "process_kill", "core", "confirmed", True, {}),
        GaugeSeen(99, "core", 0, "commits", 5, -1),
        GaugeSeen(100, "core", 0, "commits", 9, -1),
        GaugeSeen(101, "core", 0, "commits", 3, -1),
    ]
    said = fold(records, run_facts())
    counts = said.counts
    assert (counts.sends.ok, counts.sends.fail, counts.sends.info) == (3, 0, 0)
    assert (counts.delivered, counts.redelivered, counts.lost.total) == (3, 0, 0)
    assert (counts.reconnects.sender, counts.reconnects.receiver) == (1, 0)
    assert (said.kills, said.commits) == (1, 12)
    ack, delivery = said.latency_ms.ack, said.latency_ms.delivery
    assert ack is not None
    assert delivery is not None
    # Two messages waited 20 ns for their ok, one 5 ns; 10 ns each for their delivery.
    assert (ack.p50, ack.max, ack.count) == (2e-05, 2e-05, 3)
    assert (delivery.p50, delivery.max) == (1e-05, 1e-05)
    assert said.throughput_per_s.acknowledged == pytest.approx(3 / 35e-9, rel=1e-6)
    assert [(b.inbox, b.epochs[0].loads) for b in said.buckets] == [("x", [3])]


def test_latency_counts_from_when_a_message_was_due() -> None:
    records: list[Record] = [
        Invoked(100, 0, 7, "x", 0, 1, t_due_ns=40),
        Completed(150, 0, 7, "x", 0, 1, "ok", 0, 0, 1, ""),
    ]
    ack = fold(records, run_facts()).latency_ms.ack
    assert ack is not None
    assert ack.max == 110e-6


def test_lost_is_split_by_place() -> None:
    history = read_written(SOUND.with_name("A1-lost-at-every-place.bad.json"))
    lost = fold(in_order(history.records), run_facts()).counts.lost
    assert (lost.total, lost.prefix, lost.middle, lost.suffix) == (4, 1, 2, 1)


def test_the_fold_can_be_asked_while_it_goes_on() -> None:
    folding = Fold(run_facts())
    seen = []
    for record in sound():
        folding.take(record)
        seen.append(folding.states()["A1"])
    assert seen[0] == "UNKNOWN"
    assert seen[-1] == "PASS"
    assert folding.judge().checks == fold(sound(), run_facts()).checks


def test_trouble_leaves_loss_unknown_and_says_why() -> None:
    records = [r for r in sound() if type(r).__name__ not in ("EndRead", "PhaseMarked")]
    said = fold(records, run_facts(trouble=(("stuck", "readers short of the end"),)))
    by_id = {c.id: c for c in said.checks}
    for check_id in ("A1", "B3", "D3"):
        assert by_id[check_id].status is CheckStatus.UNKNOWN
        assert by_id[check_id].reason.startswith("stuck: ")


KILLED: list[dict[str, Any]] = [{"torn": True}, {"killed": frozenset({0})}]


@pytest.mark.parametrize("how", KILLED)
def test_a_killed_recorder_excuses_missing_outcomes_only(how: dict[str, Any]) -> None:
    records = [r for r in sound() if not (isinstance(r, Completed) and r.n_first == 0)]
    assert statuses(records)["D4"] is CheckStatus.ERROR
    assert statuses(records)["D3"] is CheckStatus.UNKNOWN
    assert statuses(records, **how)["D4"] is CheckStatus.PASS
    assert statuses(records, **how)["D3"] is CheckStatus.PASS
    twice = [*sound(), *[r for r in sound() if isinstance(r, Completed)]]
    assert statuses(in_order(twice), **how)["D4"] is CheckStatus.ERROR


def test_a_killed_recorder_excuses_nobody_else() -> None:
    records = [r for r in sound() if not (isinstance(r, Completed) and r.n_first == 0)]
    other = msgspec.structs.replace(
        next(r for r in sound() if isinstance(r, Invoked)), process=1, producer=99, n_first=0
    )
    said = statuses(in_order([*records, other]), killed=frozenset({1}))
    assert (said["D3"], said["D4"]) == (CheckStatus.UNKNOWN, CheckStatus.ERROR)


def test_more_required_than_happened_is_vacuous() -> None:
    needs = [
        Requires(sends_ok=4),
        Requires(delivered=4),
        Requires(sender_reconnects=1),
        Requires(receiver_reconnects=1),
        Requires(resizes=1),
        Requires(fault_effects=1),
        Requires(resent=1),
        Requires(backlog=4),
    ]
    for requires in needs:
        assert statuses(sound(), requires=requires)["D5"] is CheckStatus.UNKNOWN
    assert statuses(sound())["D5"] is CheckStatus.PASS


def test_what_happened_is_told_beside_what_is_required() -> None:
    checks = fold(sound(), run_facts(requires=Requires(sends_ok=2))).checks
    vacuous = next(check for check in checks if check.id == "D5")
    assert vacuous.status is CheckStatus.PASS
    assert vacuous.reason.startswith("3 acknowledged messages (2 required); 3 distinct delivered")
    assert "reconnects" not in vacuous.reason


def test_what_happened_once_is_told_as_one() -> None:
    bitten = [*sound(), struck("f1", "link_cut", "edge-core:a")]
    for needed, told in ((1, "1 fault with an effect (1 required)"),
                         (2, "1 fault with an effect, 2 required")):  # fmt: skip
        checks = fold(bitten, run_facts(requires=Requires(fault_effects=needed))).checks
        assert told in next(check for check in checks if check.id == "D5").reason


def struck(fault: str, kind: str, target: str) -> Record:
    return FaultMarked(9, fault, kind, target, "healed", True, {"gone": 1.0})


CUT_EVERYWHERE = [struck(f"f{i}", "link_cut", f"edge-core:{name}") for i, name in enumerate("abc")]
"""What one fault on a pattern of three links leaves."""

RESET_OF_CLIENTS = [struck("f9", "link_reset", f"client-edge:a:{name}") for name in "xy"]
"""What one fault on a pattern of client links leaves."""


@pytest.mark.parametrize(
    ("marks", "planned", "missing"),
    [
        ([], [("process_kill", "core")], 1),
        ([struck("f1", "process_kill", "core")], [("process_kill", "core")], 0),
        # What a phase struck by itself does not stand in for a fault of the schedule.
        ([struck("p1", "process_kill", "core")], [("process_kill", "core")], 1),
        ([struck("f1", "process_pause", "core")], [("process_kill", "core")], 1),
        (CUT_EVERYWHERE, [("link_cut", "edge-core:*")], 0),
        # Three links that were struck at once are no three faults.
        (CUT_EVERYWHERE, [("link_cut", "edge-core:*"), ("process_kill", "core")], 1),
        (CUT_EVERYWHERE, [("link_cut", "edge-core:*"), ("link_cut", "edge-core:b")], 1),
        (CUT_EVERYWHERE, 2 * [("link_cut", "edge-core:*")], 3),
        (RESET_OF_CLIENTS, [("link_reset", "client-edge:a:*")], 0),
        (RESET_OF_CLIENTS, 2 * [("link_reset", "client-edge:*")], 1),
    ],
)
def test_each_planned_fault_has_to_be_carried_out(
    marks: list[Record], planned: list[tuple[str, str]], missing: int
) -> None:
    records = in_order([*sound(), *marks])
    checks = fold(records, run_facts(planned=tuple(planned))).checks
    vacuous = next(c for c in checks if c.id == "D5")
    assert (vacuous.status, vacuous.instances) == (
        CheckStatus.UNKNOWN if missing else CheckStatus.PASS,
        missing,
    )


# Content


@pytest.mark.parametrize("kind", ["random", "numbered"])
def test_content_is_judged_from_the_seed(kind: str) -> None:
    payloads = Payloads(4711, kind, 20, 60)

    def delivered(t_ns: int, n: int, body: bytes, lengths: bytes) -> Delivered:
        run = DeliveredRun(7, n, 1, 0, 1, payloads.digest(lengths, body))
        return Delivered(t_ns, "r", "x", 1, n, False, (run,))

    lengths, body = payloads.make(7, "x", 1, 1)
    right = payloads.make(7, "x", 0, 1)
    records: list[Record] = [
        Invoked(1, 0, 7, "x", 0, 2),
        delivered(5, 0, right[1], right[0]),
        delivered(6, 1, body[:-1] + bytes([body[-1] ^ 1]), lengths),
    ]
    spec = next(spec for spec in all_checks() if spec.id == "A5")
    for seed_payloads, instances in ((payloads, 1), (Payloads(4712, kind, 20, 60), 2)):
        run = run_facts(expected_digest=seed_payloads.expected_digest)
        (result,) = fold(records, run, [spec]).checks
        if kind == "random" or seed_payloads is payloads:
            assert (result.examined, result.instances) == (2, instances)
    (result,) = fold(records, run_facts(expected_digest=None), [spec]).checks
    assert result.status is CheckStatus.UNKNOWN


# Tampering: what no checksum can find, the checks do


def rewritten(folder: Path, records: list[Record]) -> list[Record]:
    recorder = Recorder(folder / "0001.msgpack", "run", "one")
    recorder.write_now(records)
    recorder.close()
    return list(read_folder(folder))


def test_a_segment_written_anew_does_not_fit_the_index(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "0001.msgpack", "run", "one")
    recorder.write_now(sound())
    recorder.close()
    write_index(tmp_path)
    assert list(read_folder(tmp_path)) == sound()
    (tmp_path / "0001.msgpack").unlink()
    with pytest.raises(DamagedHistory, match="altered after the run"):
        rewritten(tmp_path, sound()[1:])


def of_a_message() -> list[int]:
    kinds = (Invoked, Completed, Delivered)
    return [i for i, record in enumerate(sound()) if isinstance(record, kinds)]


def passes(records: list[Record]) -> bool:
    applicable = (CheckStatus.PASS, CheckStatus.NOT_APPLICABLE)
    without = frozenset({Promise.LIMITS, Promise.FENCING, Promise.PRESENCE})
    found = statuses(in_order(records), promises=frozenset(Promise) - without)
    return all(status in applicable for status in found.values())


def altered(record: Record) -> list[Record]:
    """Return versions of a record with one number changed."""
    replace = msgspec.structs.replace
    match record:
        case Invoked():
            return [
                replace(record, n_first=record.n_first + 1),
                replace(record, count=record.count + 1),
                replace(record, producer=record.producer + 5),
                replace(record, inbox="y"),
                replace(record, t_ns=record.t_ns + 60),
            ]
        case Completed():
            return [
                replace(record, n_first=record.n_first + 1),
                replace(record, count=record.count + 1),
                replace(record, outcome="fail"),
                replace(record, pos_first=record.pos_first + 1),
                replace(record, producer=record.producer + 5),
            ]
        case Delivered(runs=(run, *_)):
            return [
                replace(record, pos_first=record.pos_first + 1),
                replace(record, runs=(replace(run, digest=run.digest + 1),)),
                replace(record, runs=(replace(run, n_first=run.n_first + 1),)),
                replace(record, inbox="y"),
            ]
        case _:
            return []


def test_the_sound_history_passes() -> None:
    assert passes(sound())


@pytest.mark.parametrize("index", of_a_message())
def test_a_removed_doubled_or_altered_record_never_passes(index: int) -> None:
    records = sound()
    assert not passes([*records[:index], *records[index + 1 :]])
    assert not passes([*records[:index], records[index], *records[index:]])
    for other in altered(records[index]):
        assert not passes([*records[:index], other, *records[index + 1 :]])


def test_swapped_deliveries_never_pass() -> None:
    records = sound()
    places = [i for i, record in enumerate(records) if isinstance(record, Delivered)]
    first, second = records[places[0]], records[places[1]]
    records[places[0]] = msgspec.structs.replace(second, t_ns=first.t_ns)
    records[places[1]] = msgspec.structs.replace(first, t_ns=second.t_ns)
    assert not passes(records)


# Routes and statistics


def test_the_route_is_the_published_one() -> None:
    """Two codes written apart agree, and with fixed vectors."""
    vectors = [
        (7, "x", 0, 5), (7, "x", 1, 5), (2**64 - 1, "vip_user", 2**40, 50),
        (0, "größe", 3, 100), (12345678901234567890, "inbox-9", 10**6, 2),
    ]  # fmt: skip
    for producer, inbox, n, count in vectors:
        mine = splitmix64_xxh3(
            inbox,
            np.array([producer], dtype=np.uint64),
            np.array([n], dtype=np.uint64),
            count,
        )
        assert int(mine[0]) == int(bucket_range(producer, inbox, n, 1, count)[0])
    ns = np.arange(1000, dtype=np.uint64)
    producers = np.full(1000, 99, dtype=np.uint64)
    assert (splitmix64_xxh3("vip", producers, ns, 50) == bucket_range(99, "vip", 0, 1000, 50)).all()


@pytest.mark.parametrize(
    ("statistic", "degrees", "p"),
    [
        (3.841458820694124, 1, 0.05),
        (9.487729036781154, 4, 0.05),
        (66.33864886296882, 49, 0.05),
        (85.35056460064, 49, 0.001),
        (0.0, 10, 1.0),
        (2.0, 2, math.exp(-1)),
        (200.0, 2, math.exp(-100)),
        (49.33, 49, 0.4597),
    ],
)
def test_chi_square_tail(statistic: float, degrees: int, p: float) -> None:
    assert chi_square_above(statistic, degrees) == pytest.approx(p, rel=2e-3)


def test_chi_square_tail_against_its_closed_form() -> None:
    """For even degrees 2k the tail is a Poisson sum."""
    for half in (1, 2, 5, 25, 50):
        for statistic in (0.1, 1.0, 10.0, 50.0, 120.0, 300.0):
            x = statistic / 2
            exact = math.exp(-x) * sum(x**i / math.factorial(i) for i in range(half))
            assert chi_square_above(statistic, 2 * half) == pytest.approx(exact, rel=1e-8)


# Intervals against plain sets


def plain(spans: Spans) -> set[int]:
    pairs = zip(spans.begins.tolist(), spans.ends.tolist(), strict=True)
    return {number for begin, end in pairs for number in range(begin, end)}


def some_spans(rng: np.random.Generator) -> tuple[list[tuple[int, int]], Spans]:
    pairs = [
        (int(b), int(b + rng.integers(0, 12))) for b in rng.integers(0, 25, rng.integers(0, 6))
    ]
    return pairs, Spans.of(column([p[0] for p in pairs]), column([p[1] for p in pairs]))


def test_intervals_are_sets() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        (pairs, a), (_, b) = some_spans(rng), some_spans(rng)
        numbers = {n for begin, end in pairs for n in range(begin, end)}
        assert plain(a) == numbers
        assert a.count == len(numbers)
        assert plain(a.minus(b)) == plain(a) - plain(b)
        assert plain(a.both(b)) == plain(a) & plain(b)
        assert plain(a.union(b)) == plain(a) | plain(b)
        inside = a.contains(np.arange(40)).tolist()
        assert inside == [n in numbers for n in range(40)]
        growing = GrowingSet()
        held: set[int] = set()
        for begin, end in pairs:
            fresh = {n for first, stop in growing.add(begin, end) for n in range(first, stop)}
            assert fresh == set(range(begin, end)) - held
            held |= fresh
        assert plain(growing.spans()) == numbers
        assert growing.count_below(12) == len([n for n in numbers if n < 12])
        begins, ends, depth = depths(column([p[0] for p in pairs]), column([p[1] for p in pairs]))
        layers = {
            n: d
            for begin, end, d in zip(begins.tolist(), ends.tolist(), depth.tolist(), strict=True)
            for n in range(begin, end)
        }
        assert layers == {n: sum(begin <= n < end for begin, end in pairs) for n in numbers}


def test_of_overlapping_steps_the_first_counts() -> None:
    steps = Steps.of(column([0, 2, 9]), column([4, 8, 10]), column([1, 2, 3]))
    assert steps.at(np.arange(11), -1).tolist() == [1, 1, 1, 1, 2, 2, 2, 2, -1, 3, -1]


def test_split_keeps_what_it_cuts() -> None:
    origin, begins, ends = split(column([10, 0]), column([20, 5]), column([0, 3, 10, 12, 20]))
    assert list(zip(origin.tolist(), begins.tolist(), ends.tolist(), strict=True)) == [
        (0, 10, 12), (0, 12, 20), (1, 0, 3), (1, 3, 5),
    ]  # fmt: skip
