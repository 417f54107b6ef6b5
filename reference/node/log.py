"""The log of a node: no peer can fill it, neither by long lines nor by many."""

from __future__ import annotations

import logging
import time
from typing import Final

LINE_CHARS_MAX: Final = 1_000
"""A longer line is cut; what peers say stands in it."""

LINES_PER_S_MAX: Final = 100
"""More lines in a second are left out, and their number is told; errors never are."""


class LineLimit(logging.Filter):
    """Cuts long lines, and leaves out what is too many in one second."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written; it may be changed."""
        second = int(time.monotonic())
        left_out = 0
        if second != self._second:
            left_out = max(0, self._lines - LINES_PER_S_MAX)
            self._second, self._lines = second, 0
        if record.levelno < logging.ERROR:
            self._lines += 1
            if self._lines > LINES_PER_S_MAX:
                return False
        text = record.getMessage()
        if len(text) > LINE_CHARS_MAX:
            text = f"{text[:LINE_CHARS_MAX]}… ({len(text)} characters)"
        if left_out:
            text = f"[{left_out} lines were left out] {text}"
        record.msg, record.args = text, None
        return True
