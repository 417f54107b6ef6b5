"""A14, C7: does what has been overtaken still change something?

A later login ends the sessions before it, and a change of the bucket count holds only if the epoch
that it names is in force. Both are fencing tokens (Kleppmann, "How to do distributed locking",
2016): who comes late must be refused, however long its message was under way.
"""

from __future__ import annotations

from collections import defaultdict

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.history.records import OK, AckCompleted
from harness.systems.promises import Promise


@check(
    "A14",
    "LATE-ACK",
    "a cursor of a superseded session was confirmed",
    needs=Promise.FENCING,
    reach=Reach.ONCE,
)
def late_ack(facts: Facts) -> Found:
    """Look for ackinv(sess) after open(sess' > sess) of its inbox that completes ok.

    Instances are confirmed acknowledgements.
    """
    index = facts.index
    asked_ns: dict[tuple[int, int, int], int] = {}
    for lineage, session, upto, t_ns in zip(
        *(values.tolist() for values in index.acks_invoked.columns()), strict=True
    ):
        inbox = index.inboxes[index.readers[lineage][1]]
        if t_ns > facts.superseded_ns(inbox, session):
            asked_ns.setdefault((lineage, session, upto), t_ns)
        else:
            # The first of several that ask for the same decides.
            asked_ns.setdefault((lineage, session, upto), -1)
    instances = 0
    found: list[Clue] = []
    confirmed = len(index.acks_confirmed)
    for lineage, session, upto, done_ns in zip(
        *(values.tolist() for values in index.acks_confirmed.columns()), strict=True
    ):
        if asked_ns.get((lineage, session, upto), -1) < 0:
            continue
        reader, number = index.readers[lineage]
        inbox = index.inboxes[number]
        instances += 1
        if len(found) < WITNESSES_MAX:
            found.append(
                Clue(
                    summary=(
                        f"{reader} acknowledged {inbox} up to {upto} in session {session} after a "
                        "later session was open, and it was confirmed"
                    ),
                    inbox=inbox,
                    pos=upto,
                    record=AckCompleted(done_ns, reader, inbox, session, upto, OK),
                )
            )
    unknown = "" if confirmed else "no acknowledgement was confirmed"
    return Found(examined=confirmed, instances=instances, clues=found, unknown=unknown)


@check(
    "C7",
    "STALE-RESIZE",
    "a resize was confirmed though the epoch that it expected was not in force",
    needs=Promise.FENCING,
    reach=Reach.ONCE,
)
def stale_resize(facts: Facts) -> Found:
    """Each confirmed resize begins the epoch right behind the expected one, and no two the same.

    So a request that is repeated, or that was long under way, cannot undo a later one. Instances
    are confirmed resizes.
    """
    if not facts.index.resizes_invoked:
        return Found(examined=0, not_applicable="no inbox was resized")
    confirmed = [resize for resize in facts.index.resizes if resize.outcome == OK]
    begun: dict[str, set[int]] = defaultdict(set)
    found: list[Clue] = []
    instances = 0
    for resize in confirmed:
        if resize.epoch == resize.expected_epoch + 1 and resize.epoch not in begun[resize.inbox]:
            begun[resize.inbox].add(resize.epoch)
            continue
        instances += 1
        if len(found) < WITNESSES_MAX:
            found.append(
                Clue(
                    summary=(
                        f"a change of {resize.inbox} to {resize.bucket_count} buckets expected "
                        f"epoch {resize.expected_epoch} and was confirmed as epoch {resize.epoch}"
                    ),
                    inbox=resize.inbox,
                    pos=resize.pos_first,
                    record=resize,
                )
            )
    unknown = "" if confirmed else "no resize was confirmed"
    return Found(examined=len(confirmed), instances=instances, clues=found, unknown=unknown)
