"""D7: did every node keep its published limits?"""

from __future__ import annotations

from harness.checkers import clues
from harness.checkers.check import Found, Reach, check
from harness.checkers.facts import Facts
from harness.history.records import GaugeSeen
from harness.systems.promises import Promise


@check(
    "D7",
    "LIMIT-EXCEEDED",
    "a named limit was passed",
    needs=Promise.LIMITS,
    reach=Reach.ONCE,
)
def limit_exceeded(facts: Facts) -> Found:
    """Compare samples of the nodes' own gauges with the limits that they publish."""

    def tell(record: GaugeSeen) -> str:
        return (
            f"{record.role} {record.index}: {record.name} was {record.value:,}, its limit is "
            f"{record.limit:,}"
        )

    over = facts.index.gauges.over_limit
    return Found(
        examined=facts.index.gauges.count,
        instances=over.count,
        clues=clues.of_oddity(over, tell),
        unknown="" if facts.index.gauges.count else "no gauge was read",
    )
