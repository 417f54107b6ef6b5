"""A3, A4: was everything that was delivered really sent, and not refused?

Jepsen's set checks call the first "unexpected". O(1) per record, and O(ranges log ranges).
"""

from __future__ import annotations

from harness.checkers import clues
from harness.checkers.check import Found, Reach, check
from harness.checkers.extent import extent_of
from harness.checkers.facts import Facts
from harness.history.records import Delivered


@check("A3", "PHANTOM", "delivered, and never sent before", reach=Reach.ONCE)
def phantom(facts: Facts) -> Found:
    """Dlv of m with no inv(m) before its completion; decided while the records pass."""
    phantoms = facts.index.phantoms

    def tell(record: Delivered) -> str:
        for run in record.runs:
            stream = facts.index.find_stream(run.producer, record.inbox)
            upto = stream.invoked_upto if stream else 0
            if run.n_first + run.count > upto:
                return (
                    f"{record.reader} delivered messages {run.n_first} to "
                    f"{run.n_first + run.count - 1} of {facts.run.sender(run.producer)} to "
                    f"{record.inbox}, of whom only {upto} were ever sent"
                )
        return (
            f"{record.reader} delivered at position {record.pos_first} of {record.inbox} what was "
            "sent only later"
        )

    return Found(
        examined=facts.index.delivered_count,
        instances=phantoms.count,
        clues=clues.of_oddity(phantoms, tell),
        unknown="" if facts.index.delivered_count else "nothing was delivered",
    )


@check("A4", "ABORTED", "reported as failed, and delivered all the same", reach=Reach.KEYS)
def aborted(facts: Facts) -> Found:
    """FAIL(m) and m in R: "failed" promised that it never takes effect."""
    wrong = facts.failed.both(facts.delivered)
    return Found(
        examined=facts.delivered.count,
        instances=wrong.count,
        extent=extent_of(facts, wrong),
        clues=clues.of_spans(
            facts, wrong, lambda _key: "was reported as failed and delivered all the same"
        ),
        unknown="" if facts.delivered else "nothing was delivered",
    )
