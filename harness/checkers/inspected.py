"""The finding of a check that asks about what lies in the store, once for all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.checkers.check import Clue, Found
from harness.checkers.extent import Extent
from harness.checkers.facts import Facts
from harness.checkers.stored import why_not_asked, why_unknown


def found_in_store(
    facts: Facts,
    *,
    examined: int,
    instances: int,
    clues: Sequence[Clue],
    extent: Extent | None = None,
    note: str = "",
) -> Found:
    """Return a finding that says by itself why nothing is known, or nothing to be asked.

    A store that drops what was acknowledged may rightly be empty: then there is nothing to ask of
    it, and C8 says whether it may. One that keeps everything may not, and what it lacks is a loss.
    """
    trims = facts.run.trims
    return Found(
        examined=examined,
        instances=instances,
        clues=clues,
        extent=extent,
        unknown=why_unknown(facts.index, trims=trims),
        not_applicable=why_not_asked(facts.index, trims=trims),
        note=note,
    )
