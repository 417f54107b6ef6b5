"""What was drawn stands in the report, each thing in a line."""

from __future__ import annotations

from harness.report.drawn import NAME_CHARS_MAX, lines
from harness.report.result import Drawn


def test_numbers_names_and_units() -> None:
    long = "L" * 128
    drawn = [
        Drawn(what="sizes", values=[0, 262_144], unit="bytes"),
        Drawn(what="inboxes", values=["VIP", long]),
    ]
    assert lines(drawn) == [
        "sizes: 0, 262,144 bytes",
        f"inboxes: VIP, {'L' * NAME_CHARS_MAX}…",
    ]
    assert lines([]) == []
