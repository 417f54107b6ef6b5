"""What a failed run is told: one paragraph, and counts that can never contradict a check."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from harness.checkers.fold import Judgement, fold
from harness.checkers.meanings import BLOWS
from harness.checkers.run_facts import RunFacts
from harness.faults.registry import faults
from harness.history import records as h
from harness.plugin.runs import first_line
from harness.report import words
from harness.report.html import Page, run_report
from harness.report.junit import junit
from harness.report.result import (
    CheckStatus,
    Counts,
    Latencies,
    Result,
    Sends,
    Throughput,
)
from harness.report.summary import result_markdown
from harness.report.terminal import FAIL_LINES_MAX, make_console, print_result
from harness.run import limits, verdict
from harness.systems.promises import Promise
from harness.testing import example_results as examples
from harness.testing.histories import Scribbler, plain_digest, read_written
from harness.testing.oracle import in_order

FOLDER = Path(__file__).parent.parent / "histories"
PATHS = sorted(FOLDER.glob("*.json"))

LOSS = {"A1", "A2", "A11", "A12", "B3", "C8"}
DUPLICATES = {"A7", "A8", "A9", "C2"}
ORDER = {"A10", "B1", "B2", "B4", "B6", "B7", "C3"}


class Requires:
    """What every hand-written history must hold unless it says otherwise."""

    sends_ok = 1
    delivered = 1
    sender_reconnects = 0
    receiver_reconnects = 0
    sender_reconnects_each = 0
    receiver_reconnects_each = 0
    resizes = 0
    own_resizes = 0
    fault_effects = 0
    resent = 0
    backlog = 0


def judged(records, without=frozenset(), senders=None) -> Judgement:
    run = RunFacts(
        promises=frozenset(Promise) - without,
        requires=Requires(),
        expected_digest=plain_digest,
        route="splitmix64-xxh3",
        senders=senders or {},
    )
    return fold(in_order(records), run)


def contradictions(failed: set[str], counts: Counts) -> list[str]:
    gone = counts.lost.total + counts.vanished + counts.passed_by
    told = {
        "loss": (failed & LOSS, gone),
        "duplicates": (failed & DUPLICATES, counts.duplicated),
        "order": (failed & ORDER, counts.reordered),
        # Two messages at one position: one of them is gone from it, or has a second one.
        "identity": (failed & {"A6"}, gone + counts.duplicated),
        "resize": (failed & {"C6"}, gone + counts.duplicated + counts.reordered),
    }
    return [f"{kind}: {sorted(ids)}, 0 counted" for kind, (ids, n) in told.items() if ids and not n]


def failed_of(judgement: Judgement) -> set[str]:
    return {one.id for one in judgement.checks if one.status is CheckStatus.FAIL}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_counts_never_contradict_a_check(path: Path) -> None:
    history = read_written(path)
    judgement = judged(history.records, history.without)
    failed = failed_of(judgement)
    assert contradictions(failed, judgement.counts) == []
    diagnosis = judgement.diagnosis
    assert (diagnosis is not None) == bool(failed)
    if diagnosis is not None:
        assert diagnosis.check in failed
        assert diagnosis.messages > 0
        assert diagnosis.text.endswith(".")
        also = {one.partition(" ")[0] for one in diagnosis.also_failed}
        assert also == failed - {diagnosis.check}


@pytest.mark.parametrize("seed", range(150))
def test_nor_in_histories_made_at_random(seed: int) -> None:
    judgement = judged(Scribbler(seed).write())
    assert contradictions(failed_of(judgement), judgement.counts) == []


S = 10**9
ANN, BEN = 2**63 + 5, 9


def sent(producer: int, inbox: str, n: int, pos: int, t_s: float) -> list[h.Record]:
    """A message that is sent, acknowledged at a position, and delivered at once."""
    t_ns = int(t_s * S)
    run = h.DeliveredRun(producer, n, 1, 0, 1, plain_digest(producer, inbox, n, 1))
    return [
        h.Invoked(t_ns, 1, producer, inbox, n, 1, t_ns),
        h.Completed(t_ns + 1_000, 1, producer, inbox, n, 1, "ok", pos, 0, 1, ""),
        h.Delivered(t_ns + 2_000, f"reader-{inbox}", inbox, 1, pos, False, (run,)),
    ]


def blow(name: str, kind: str, target: str, at_s: float, held_s: float = 0.2) -> list[h.Record]:
    """A fault with an effect; it is confirmed late, as one that has to wait is."""
    marks = ((0.0, "requested", False), (held_s / 2, "confirmed", True), (held_s, "healed", True))
    return [
        h.FaultMarked(int((at_s + later_s) * S), name, kind, target, state, effective, {})
        for later_s, state, effective in marks
    ]


def wiped(*faults: list[h.Record]) -> list[h.Record]:
    """Two inboxes whose logs are empty again at 2.8 s, and are filled again from position 0."""
    records: list[h.Record] = []
    for inbox, producer in (("ann", ANN), ("ben", BEN)):
        records.append(h.Opened(1, 0, f"reader-{inbox}", inbox, 1, -1, 0, "here"))
        for n in range(3):
            records += sent(producer, inbox, n, n, 2.3 + n / 10)
        for n in range(3, 5):
            records += sent(producer, inbox, n, n - 3, 3.0 + n / 10)
    return sorted(sum(faults, records), key=lambda record: record.t_ns)


KILL = blow("f1", "process_kill", "core", 2.6)


def test_what_vanished_is_told_in_one_paragraph_with_the_fault_that_explains_it() -> None:
    too_late = blow("f2", "process_kill", "core", 3.9)
    long_over = blow("f0", "process_kill", "edge:here", 1.0)
    nearer_but_a_link = blow("f3", "link_cut", "edge-core:here", 2.51, held_s=0.1)
    judgement = judged(wiped(KILL, too_late, long_over, nearer_but_a_link))
    diagnosis = judgement.diagnosis
    assert diagnosis is not None
    assert diagnosis.text == (
        "4 acknowledged messages vanished when core was killed at 2.60 s: inboxes ann and ben, "
        "acknowledged between 2.30 and 2.40 s. The log went back: their positions were given out "
        "again."
    )
    assert diagnosis.faults == ["f1"]
    assert judgement.counts.vanished == 4
    assert judgement.counts.lost.total == 0
    assert diagnosis.also_failed


def test_a_fault_behind_the_damage_is_never_claimed() -> None:
    diagnosis = judged(wiped(blow("f2", "process_kill", "core", 3.9))).diagnosis
    assert diagnosis is not None
    assert diagnosis.faults == []
    assert diagnosis.text.startswith("4 acknowledged messages vanished, and no fault explains it:")
    alone = judged(wiped()).diagnosis
    assert alone is not None
    assert alone.text.startswith("4 acknowledged messages vanished: inboxes ann and ben")


def test_a_link_is_named_where_nothing_else_can_explain_it() -> None:
    diagnosis = judged(wiped(blow("f3", "link_cut", "edge-core:here", 2.55))).diagnosis
    assert diagnosis is not None
    assert "when edge-core:here was cut at 2.55 s" in diagnosis.text


@pytest.mark.parametrize(
    ("sent_s", "told"),
    [
        (
            (2.3, 2.4, 4.0),
            (
                "3 acknowledged messages were lost when client-edge:here:a and 1 more were cut at "
                "2.55 s (2 of them); no fault explains the other one: "
            ),
        ),
        (
            (2.3, 4.0, 4.1),
            (
                "3 acknowledged messages were lost, and no fault explains 2 of them; the others "
                "when client-edge:here:a and 1 more were cut at 2.55 s (1 of them): "
            ),
        ),
    ],
)
def test_what_a_fault_cannot_explain_is_not_put_down_to_it(
    sent_s: tuple[float, ...], told: str
) -> None:
    records = [h.Opened(1, 0, "reader-ann", "ann", 1, -1, 0, "here")]
    for n, at_s in enumerate(sent_s):
        # Acknowledged without a position, and delivered to nobody.
        records += sent(ANN, "ann", n, -1, at_s)[:2]
    cut = blow("f3", "link_cut", "client-edge:here:a", 2.55)
    cut += blow("f3", "link_cut", "client-edge:here:b", 2.55)
    ends = [
        h.PhaseMarked(int(4.5 * S), "quiet", True),
        h.EndRead(int(5 * S) + 9, int(5 * S), "reader-ann", "ann", -1),
        h.PhaseMarked(int(5 * S) + 10, "drained", True),
    ]
    records = sorted([*records, *cut, *ends], key=lambda record: record.t_ns)
    diagnosis = judged(records).diagnosis
    assert diagnosis is not None
    assert diagnosis.text.startswith(told)


def test_a_senders_link_takes_nothing_that_has_a_position() -> None:
    senders = blow("f3", "link_cut", "client-edge:here:sender-1", 2.25)
    diagnosis = judged(wiped(senders)).diagnosis
    assert diagnosis is not None
    assert diagnosis.faults == []
    assert diagnosis.text.startswith("4 acknowledged messages vanished, and no fault explains it:")
    # A link that others share, or one of a reader beside, may have done it.
    shared = judged(wiped(blow("f3", "link_cut", "client-edge:here:load-1", 2.55))).diagnosis
    assert shared is not None
    assert "when client-edge:here:load-1 was cut at 2.55 s" in shared.text
    beside = blow("f3", "link_cut", "client-edge:here:reader-ann", 2.25)
    both = judged(wiped([*senders, *beside])).diagnosis
    assert both is not None
    assert "when client-edge:here:reader-ann and 1 more were cut" in both.text


def test_a_senders_link_takes_what_it_alone_sent_and_nobody_is_known_to_have_had() -> None:
    """Where an acknowledgement waits for nothing, a reset takes what it was given for."""
    records: list[h.Record] = []
    for inbox, producer in (("ann", ANN), ("ben", BEN)):
        records.append(h.Opened(1, 0, f"reader-{inbox}", inbox, 1, -1, 0, "here"))
        records += sent(producer, inbox, 0, -1, 2.5)[:2]
        ends = (int(5 * S) + 9, int(5 * S))
        records.append(h.EndRead(*ends, f"reader-{inbox}", inbox, -1))
    records.append(h.PhaseMarked(int(4.5 * S), "quiet", True))
    records.append(h.PhaseMarked(int(5 * S) + 10, "drained", True))
    records += blow("f3", "link_reset", "client-edge:here:sender-1", 2.55)
    records.sort(key=lambda record: record.t_ns)
    diagnosis = judged(records, senders={ANN: "sender-1", BEN: "sender-2"}).diagnosis
    assert diagnosis is not None
    assert diagnosis.text.startswith(
        "2 acknowledged messages were lost when client-edge:here:sender-1 was reset at 2.55 s (1 "
        "of them); no fault explains the other one: "
    )


def test_every_kind_of_fault_has_its_words() -> None:
    ours = {kind for kind, cls in faults().items() if cls.__module__.startswith("harness.")}
    assert ours <= BLOWS.keys()


def test_each_of_several_kills_is_named_with_its_share() -> None:
    records = wiped(KILL, blow("f4", "process_kill", "core", 3.6))
    for n in range(5, 7):
        records += sent(ANN, "ann", n, n - 5, 4.0 + n / 10)
    diagnosis = judged(sorted(records, key=lambda record: record.t_ns)).diagnosis
    assert diagnosis is not None
    assert diagnosis.messages == 6
    told = "when core was killed at 2.60 s (4 of them) and core was killed at 3.60 s (2 of"
    assert told in diagnosis.text


def test_senders_are_called_by_their_names() -> None:
    judgement = judged(wiped(KILL), senders={ANN: "sender-3"})
    told = [w.summary for c in judgement.checks for w in c.witnesses if "ann" in w.summary]
    assert any(f"of sender-3 (producer {ANN}) to ann" in text for text in told)
    assert not any(f"of producer {ANN}" in text for text in told)


def test_what_still_waits_counts_by_its_age() -> None:
    records = [h.Opened(1, 0, "reader-x", "x", 1, -1, 0, "here"), *sent(ANN, "x", 0, 0, 1.0)]
    records.append(h.Invoked(2 * S, 1, ANN, "x", 1, 3, 2 * S))
    records.append(h.Completed(3 * S, 1, ANN, "x", 1, 1, "fail", -1, -1, 1, "refused"))
    records.append(h.PhaseMarked(9 * S, "quiet", True))
    measured = judged(records).latency_ms
    for latency in (measured.ack, measured.delivery):
        assert latency is not None
        # A refused message waits for nothing.
        assert (latency.count, latency.waiting, latency.max) == (3, 2, 7_000.0)
        assert latency.p90 == 7_000.0
    assert "2 of 3 still wait, counted by age" in str(words.latency("ack", measured.ack))
    found = limits.compare(
        [limits.parse("ack_p50_ms <= 500")],
        limits.measure(
            counts=Counts(sends=Sends(ok=1, info=2)),
            latency_ms=measured,
            throughput_per_s=Throughput(),
            processes=[],
            duration_s=9.0,
        ),
    )
    assert not found[0].met


def test_where_nothing_was_sent_no_limit_is_met() -> None:
    texts = ["redelivered_messages <= 5", "unresolved_messages <= 0", "duration_s <= 60"]
    measured = limits.measure(
        counts=Counts(),
        latency_ms=Latencies(),
        throughput_per_s=Throughput(),
        processes=[],
        duration_s=1.0,
    )
    assert not any(one.met for one in limits.compare(map(limits.parse, texts), measured))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_failure_fits_forty_lines_of_eighty_columns(path: Path) -> None:
    history = read_written(path)
    judgement = judged(history.records, history.without)
    if judgement.diagnosis is None:
        return
    text = printed(as_result(judgement))
    lines = sum(1 + (len(line) - 1) // 80 for line in text.splitlines())
    assert lines <= FAIL_LINES_MAX
    first = " ".join(text.split())
    assert first.index(judgement.diagnosis.text[:40]) < first.index("broken")
    assert "tallystick report results/x --all" in text


def test_every_report_tells_the_same_paragraph() -> None:
    result = as_result(judged(wiped(KILL)))
    assert result.diagnosis is not None
    text = result.diagnosis.text
    assert result.verdict.reason == text
    assert text in " ".join(printed(result).split())
    assert text in result_markdown(result)
    assert text in junit(result).decode()
    assert first_line(result) == text
    page = run_report(Page(label="x", result=result, series=None, run_dir="results/x"))
    assert text in page


def as_result(judgement: Judgement) -> Result:
    base = examples.failed()
    return msgspec.structs.replace(
        base,
        verdict=verdict.decide(judgement.checks, (), (), diagnosis=judgement.diagnosis),
        checks=judgement.checks,
        diagnosis=judgement.diagnosis,
        counts=judgement.counts,
    )


def printed(result: Result) -> str:
    out = io.StringIO()
    print_result(make_console(out), result, Path("results/x"))
    return out.getvalue()
