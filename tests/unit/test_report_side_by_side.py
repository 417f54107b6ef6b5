"""Several systems beside each other: every figure under its own head, and nothing made up."""

from __future__ import annotations

import msgspec
import pytest

from harness.cli.several import split_systems
from harness.cli.under_test import place_of
from harness.errors import UsageError
from harness.report.result import Latencies, Process, Result, Status
from harness.report.side_by_side import HEAD, Ran, as_markdown, rows
from harness.testing.example_results import passed


def ran(*results: Result) -> Ran:
    return Ran(statuses=[one.verdict.status for one in results], results=results)


def delivering(rate_per_s: float) -> Result:
    rates = msgspec.structs.replace(passed().throughput_per_s, delivered=rate_per_s)
    return msgspec.structs.replace(passed(), throughput_per_s=rates)


def test_a_row_holds_what_the_result_says():
    processes = [
        Process(role="core", index=0, cpu_s=2.0, cpu_us_per_message=None, rss_max_bytes=1),
        Process(role="load-sender", index=1, cpu_s=1.0, cpu_us_per_message=None, rss_max_bytes=1),
    ]
    result = msgspec.structs.replace(passed(), processes=processes)
    row = dict(zip(HEAD, rows({"nats?jetstream=off": ran(result)})[0], strict=True))
    assert row["system"] == "nats?jetstream=off"
    assert row["verdict"] == "PASS"
    assert row["acknowledged"] == f"{result.counts.sends.ok:,}"
    assert row["CPU µs/msg, all"] == f"{3e6 / result.counts.delivered:,.0f}"
    assert row["CPU µs/msg, nodes"] == f"{2e6 / result.counts.delivered:,.0f}"


def test_what_was_not_measured_is_no_number():
    counts = msgspec.structs.replace(passed().counts, delivered=0)
    result = msgspec.structs.replace(passed(), counts=counts, latency_ms=Latencies())
    row = dict(zip(HEAD, rows({"a": ran(result)})[0], strict=True))
    assert row["ack p99 ms"] == row["delivery p99 ms"] == row["CPU µs/msg, all"] == "-"


def test_repeats_give_their_median_and_range_and_hide_no_verdict():
    runs = ran(*map(delivering, (1200.0, 1000.0, 1500.0, 1250.0)))
    broken = Ran(statuses=[*runs.statuses, Status.ERROR], results=runs.results)
    row = dict(zip(HEAD, rows({"a": broken})[0], strict=True))
    assert row["delivered/s"] == "1,225 (1,000..1,500)"
    assert row["verdict"] == "PASS x4, ERROR"


def test_a_system_whose_only_run_broke_has_a_verdict_and_no_figures():
    row = rows({"a": Ran(statuses=[Status.ERROR], results=[])})[0]
    assert row == ("a", "ERROR", *["-"] * (len(HEAD) - 2))


def test_the_table_has_as_many_columns_in_every_line():
    lines = as_markdown({"a": ran(passed()), "b": ran(passed())}).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}


@pytest.mark.parametrize("wrong", ["nats,", ",nats", "nats,nats", "nats,,valkey"])
def test_systems_are_named_once_each(wrong: str):
    with pytest.raises(UsageError, match="each once"):
        split_systems(wrong)
    assert split_systems("reference,nats?jetstream=off") == ["reference", "nats?jetstream=off"]


def test_an_option_of_several_systems_would_belong_to_none():
    with pytest.raises(UsageError, match="name\\?key=value"):
        place_of("nats,valkey", ["jetstream=off"])
