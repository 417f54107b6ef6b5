"""What is odd about a plan and may be meant: said in a dry run and in a result. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.nearest import did_you_mean
from harness.scenario.performed import phases_of
from harness.scenario.phases import Load, Login, Send, SendExtras
from harness.scenario.scenario import Plan


def remarks(plan: Plan) -> Iterator[str]:
    """Yield what an author may not have meant, in sentences.

    An inbox that is read and that nobody writes to is most often the misspelt name of one that
    nobody reads then. It may be meant, to see that nothing comes there.
    """
    read: dict[str, None] = {}
    written: dict[str, None] = {}
    for phase in phases_of(plan.phases):
        match phase:
            case Login():
                read.update(dict.fromkeys(phase.inboxes))
            case Send():
                written.update(dict.fromkeys(phase.stream.to))
            case Load():
                written.update(dict.fromkeys(to for stream in phase.streams for to in stream.to))
                written.update(dict.fromkeys(to for extra in phase.extras for to in extra.to))
            case SendExtras():
                written.update(dict.fromkeys(to for extra in phase.extras for to in extra.to))
            case _:
                pass
    for inbox in read:
        if inbox not in written:
            unread = [name for name in written if name not in read]
            meant = did_you_mean(inbox, unread)
            yield f"{inbox!r} is read and nothing in the plan is sent to it{meant}"
