"""A14, A15, C7: does what has been overtaken still change something?

A later login ends the sessions before it, and a change of the bucket count holds only if the epoch
that it names is in force. Both are fencing tokens (Kleppmann, "How to do distributed locking",
2016): who comes late must be refused, however long its message was under way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import accumulate

from harness.checkers.check import WITNESSES_MAX, Clue, Found, Reach, check
from harness.checkers.facts import Facts
from harness.history.records import OK, AckCompleted, Opened, ResizeCompleted, ResizeInvoked
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
    "A15",
    "SESSION-REUSED",
    "a login was given a session number that does not lie above all earlier ones",
    needs=Promise.FENCING,
    reach=Reach.ONCE,
)
def session_reused(facts: Facts) -> Found:
    """Compare the numbers of all logins to an inbox.

    An anomaly is a number that came before, or one below that of a login that was answered before
    this one was asked for. Fencing compares numbers, so one that comes again, after a crash for
    example, lets an old session pass for a new one. Instances are logins.
    """
    found: list[Clue] = []
    examined = instances = 0
    for inbox, events in facts.index.session_events.items():
        logins = [event for event in events if isinstance(event, Opened)]
        examined += len(logins)
        answered = sorted((login.t_ns, login.session) for login in logins)
        highest = list(accumulate((number for _, number in answered), max))
        times = [t_ns for t_ns, _ in answered]
        seen: set[int] = set()
        for login in logins:
            before = bisect_left(times, login.t_invoked_ns)
            above = highest[before - 1] if before else -1
            fresh = login.session not in seen and login.session > above
            seen.add(login.session)
            if fresh:
                continue
            instances += 1
            if len(found) < WITNESSES_MAX:
                found.append(
                    Clue(
                        summary=(
                            f"a login of {login.reader} to {inbox} was given session number "
                            f"{login.session}, though {max(above, login.session)} had been given "
                            "before"
                        ),
                        inbox=inbox,
                        record=login,
                    )
                )
    unknown = "" if examined else "nobody logged in"
    return Found(examined=examined, instances=instances, clues=found, unknown=unknown)


@check(
    "C7",
    "STALE-RESIZE",
    "a resize was confirmed though the epoch that it expected was not in force",
    needs=Promise.FENCING,
    reach=Reach.ONCE,
)
def stale_resize(facts: Facts) -> Found:
    """Each confirmed resize begins the epoch right behind the expected one, and no two the same.

    The epoch that it expected must have been able to be in force: it was asked for before the
    answer came, and no later one had been confirmed when this one was asked for. So a request that
    is repeated, or that was long under way, cannot undo a later one, also where the answer to the
    first request was lost. Instances are confirmed resizes.
    """
    if not facts.index.resizes_invoked:
        return Found(examined=0, not_applicable="no inbox was resized")
    confirmed = [resize for resize in facts.index.resizes if resize.outcome == OK]
    asked_ns = _asked_ns(facts)
    begun: dict[str, set[int]] = defaultdict(set)
    found: list[Clue] = []
    instances = 0
    for resize, resize_asked_ns in zip(facts.index.resizes, asked_ns, strict=True):
        if resize.outcome != OK:
            continue
        inbox, expected = resize.inbox, resize.expected_epoch
        later = [
            other.epoch
            for other in confirmed
            if other.inbox == inbox and other.t_ns < resize_asked_ns and other.epoch > expected
        ]
        fresh = resize.epoch == expected + 1 and resize.epoch not in begun[inbox]
        begun[inbox].add(resize.epoch)
        if fresh and not later and _may_be_in_force(facts, resize):
            continue
        instances += 1
        if len(found) < WITNESSES_MAX:
            why = f"epoch {max(later)} had been confirmed before" if later else ""
            found.append(
                Clue(
                    summary=(
                        f"a change of {inbox} to {resize.bucket_count} buckets expected epoch "
                        f"{expected} and was confirmed as epoch {resize.epoch}"
                        + (f", though {why}" if why else "")
                    ),
                    inbox=inbox,
                    pos=resize.pos_first,
                    record=resize,
                )
            )
    unknown = "" if confirmed else "no resize was confirmed"
    return Found(examined=len(confirmed), instances=instances, clues=found, unknown=unknown)


def _asked_ns(facts: Facts) -> list[int]:
    """Return for each answer to a resize when it was asked for, at the earliest.

    Of several requests for the same that are under way at once, nobody knows which an answer
    belongs to: then the earliest counts.
    """
    events: list[ResizeInvoked | ResizeCompleted] = sorted(
        [*facts.index.resizes_invoked, *facts.index.resizes], key=lambda event: event.t_ns
    )
    earliest: dict[tuple[str, int, int], int] = {}
    pending: Counter[tuple[str, int, int]] = Counter()
    asked_ns = []
    for event in events:
        which = (event.inbox, event.expected_epoch, event.bucket_count)
        if isinstance(event, ResizeInvoked):
            if not pending[which]:
                earliest[which] = event.t_ns
            pending[which] += 1
        else:
            asked_ns.append(earliest.get(which, -1))
            pending[which] = max(0, pending[which] - 1)
    return asked_ns


def _may_be_in_force(facts: Facts, resize: ResizeCompleted) -> bool:
    """Return whether every epoch up to the expected one was asked for before this answer."""
    asked = {
        one.expected_epoch + 1
        for one in facts.index.resizes_invoked
        if one.inbox == resize.inbox and one.t_ns <= resize.t_ns
    }
    return all(epoch in asked for epoch in range(1, resize.expected_epoch + 1))
