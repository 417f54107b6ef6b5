"""A node's log cannot be filled by its peers."""

from __future__ import annotations

import logging
import time

import pytest

from reference.node.log import LINE_CHARS_MAX, LINES_PER_S_MAX, LineLimit


def record(text: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("x", level, "", 0, "said %s", (text,), None)


def test_a_long_line_is_cut() -> None:
    line = record("y" * 1_000_000)
    assert LineLimit().filter(line)
    assert len(line.getMessage()) < LINE_CHARS_MAX + 40
    assert line.getMessage().endswith("(1000005 characters)")


def test_too_many_lines_of_a_second_are_counted_and_errors_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 5.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    limit = LineLimit()
    written = sum(limit.filter(record("x")) for _ in range(LINES_PER_S_MAX + 7))
    assert written == LINES_PER_S_MAX
    assert limit.filter(record("x", logging.ERROR))
    now_s = 6.0
    line = record("x")
    assert limit.filter(line)
    assert line.getMessage() == "[7 lines were left out] said x"
