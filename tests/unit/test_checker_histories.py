"""Every hand-written history gets the verdict in its name, and nothing else is found in it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from harness.checkers.check import Spec, all_checks
from harness.checkers.fold import fold, with_evidence
from harness.checkers.run_facts import RunFacts
from harness.history.records import Record
from harness.report.result import CheckStatus
from harness.systems.promises import Promise
from harness.testing.histories import WrittenHistory, plain_digest, read_written
from harness.testing.oracle import in_order, oracle

FOLDER = Path(__file__).parent.parent / "histories"
PATHS = sorted(FOLDER.glob("*.json"))
NOT_IN_THE_ORACLE = {"C1", "C6", "D2", "D3", "D4", "D5", "D6", "E1", "E2"}


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


def run_facts(history: WrittenHistory) -> RunFacts:
    return RunFacts(
        promises=frozenset(Promise) - history.without,
        requires=Requires(),
        expected_digest=plain_digest,
        route="splitmix64-xxh3",
        trims=history.trims,
    )


def spec_of(check_id: str) -> Spec:
    return next(spec for spec in all_checks() if spec.id == check_id)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_verdict(path: Path) -> None:
    history = read_written(path)
    records = in_order(history.records)
    assert records == history.records or path.name.startswith(("A1-end", "B5-", "D"))
    checks = {c.id: c for c in fold(records, run_facts(history)).checks}
    assert {c.id: c.instances for c in checks.values() if c.instances} == {
        check_id: count for check_id, count in history.found.items() if count
    }
    mine = checks[history.check_id]
    if history.verdict == "bad":
        assert mine.status is spec_of(history.check_id).found
        assert mine.status in (CheckStatus.FAIL, CheckStatus.ERROR)
        assert mine.reason
    elif history.verdict == "unknown":
        assert mine.status is CheckStatus.UNKNOWN
        assert mine.reason
    else:
        assert mine.status in (CheckStatus.PASS, CheckStatus.NOT_APPLICABLE)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_the_oracle_says_the_same(path: Path) -> None:
    history = read_written(path)
    run = run_facts(history)
    skipped = {s.id for s in all_checks() if s.needs in history.without and s.needs is not None}
    found = oracle(in_order(history.records), run)
    assert {i: n for i, n in found.items() if n and i not in skipped} == {
        i: n for i, n in history.found.items() if n and i not in NOT_IN_THE_ORACLE
    }


def test_every_check_has_a_history_that_flips_it_and_one_that_does_not() -> None:
    verdicts = {(path.name.split("-")[0], path.name.split(".")[1]) for path in PATHS}
    for spec in all_checks():
        assert (spec.id, "ok") in verdicts
        flips = {
            CheckStatus.FAIL: "bad",
            CheckStatus.ERROR: "bad",
            CheckStatus.UNKNOWN: "unknown",
        }
        if spec.found in flips:
            assert (spec.id, flips[spec.found]) in verdicts


@pytest.mark.parametrize(
    "path", [p for p in PATHS if p.name.endswith(".bad.json")], ids=lambda path: path.name
)
def test_a_failure_shows_the_records_that_prove_it(path: Path) -> None:
    history = read_written(path)
    records = in_order(history.records)
    judgement = fold(records, run_facts(history))
    assert judgement.needs_evidence
    places = [(f"0001.msgpack#{i}", record) for i, record in enumerate(records)]
    shown = with_evidence(judgement, places)
    mine = next(c for c in shown.checks if c.id == history.check_id)
    assert mine.witnesses
    about_records = history.check_id not in ("D4", "E1")
    for witness in mine.witnesses:
        assert witness.summary
        if about_records:
            assert witness.records
            assert witness.history_ref.startswith("history/0001.msgpack#")


PAIRS = ("A6", "B1", "B2", "B4")
"""Anomalies of two messages, which only the records of both prove."""


@pytest.mark.parametrize(
    "path",
    [p for p in PATHS if p.name.startswith(PAIRS) and p.name.endswith(".bad.json")],
    ids=lambda path: path.name,
)
def test_what_takes_two_messages_shows_both(path: Path) -> None:
    history = read_written(path)
    records = in_order(history.records)
    places = [(f"0001.msgpack#{i}", record) for i, record in enumerate(records)]
    shown = with_evidence(fold(records, run_facts(history)), places)
    mine = next(c for c in shown.checks if c.id == history.check_id)
    for witness in mine.witnesses:
        assert len(re.findall(r"message \d+ of producer \d+ to", witness.summary)) == 2
        sent = [one for one in witness.records if one["record"] == "invoked"]
        assert len(sent) >= 2 or sum(one["count"] for one in sent) >= 2


@pytest.mark.parametrize(
    "path", [p for p in PATHS if p.name.endswith(".ok.json")], ids=lambda path: path.name
)
def test_histories_survive_their_own_encoding(path: Path) -> None:
    records = read_written(path).records
    data = msgspec.msgpack.encode(records)
    assert msgspec.msgpack.decode(data, type=list[Record]) == records
