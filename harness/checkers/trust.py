"""In which order to believe the checks (docs/invariants.md)."""

from __future__ import annotations

from collections.abc import Iterable

from harness.report.result import Check

TRUST_ORDER = (
    "D5", "D4",
    "A3", "A4", "A5", "A6",
    "A1", "A2", "A7", "A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A17",
    "B1", "B2", "B3", "B4", "B5", "B6", "B7",
    "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9",
    "D1", "D2", "D3", "D6", "D7", "D8", "D9", "E1", "E2",
)  # fmt: skip
"""The order in which to believe results (docs/invariants.md): was anything tested, does the harness
count itself correctly, identity and content, loss and duplicates, order, the rest."""

_TRUST = {check_id: place for place, check_id in enumerate(TRUST_ORDER)}


def in_trust_order(checks: Iterable[Check]) -> list[Check]:
    """Return the checks, the most trustworthy first; unknown ids last, by id."""
    return sorted(checks, key=lambda check: (_TRUST.get(check.id, len(_TRUST)), check.id))
