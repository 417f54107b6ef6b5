"""Several systems beside each other: every figure under its own head, and nothing made up."""

from __future__ import annotations

import msgspec
import pytest

from harness.cli.several import split_systems
from harness.cli.under_test import place_of
from harness.errors import UsageError
from harness.report.result import Latencies, Process
from harness.report.side_by_side import HEAD, as_markdown, rows
from harness.testing.example_results import passed


def test_a_row_holds_what_the_result_says():
    processes = [
        Process(role="core", index=0, cpu_s=2.0, cpu_us_per_message=None, rss_max_bytes=1),
        Process(role="load-sender", index=1, cpu_s=1.0, cpu_us_per_message=None, rss_max_bytes=1),
    ]
    result = msgspec.structs.replace(passed(), processes=processes)
    row = dict(zip(HEAD, rows({"nats?jetstream=off": result})[0], strict=True))
    assert row["system"] == "nats?jetstream=off"
    assert row["verdict"] == "PASS"
    assert row["acknowledged"] == f"{result.counts.sends.ok:,}"
    assert row["CPU µs/msg, all"] == f"{3e6 / result.counts.delivered:,.0f}"
    assert row["CPU µs/msg, nodes"] == f"{2e6 / result.counts.delivered:,.0f}"


def test_what_was_not_measured_is_no_number():
    counts = msgspec.structs.replace(passed().counts, delivered=0)
    result = msgspec.structs.replace(passed(), counts=counts, latency_ms=Latencies())
    row = dict(zip(HEAD, rows({"a": result})[0], strict=True))
    assert row["ack p99 ms"] == row["delivery p99 ms"] == row["CPU µs/msg, all"] == "-"


def test_the_table_has_as_many_columns_in_every_line():
    lines = as_markdown({"a": passed(), "b": passed()}).splitlines()
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
