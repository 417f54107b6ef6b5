"""All cases, registered in the order in which they are tried."""

from __future__ import annotations

from harness.conform import cases, coming_back, trimming
from harness.conform.case import CASES

__all__ = ["CASES", "cases", "coming_back", "trimming"]
