"""Presence: who is online, and on which edge.

A user is online while its inbox has an active session on a link that is alive; presence is never
stored, so after a restart all are offline until their edges register them again.
"""

from __future__ import annotations

from reference.core.delivery import Deliverer, Session
from reference.core.links import Link
from reference.core.sequencing import Inbox
from reference.wire import messages as m
from reference.wire.errors import ErrorCode


def entry(deliverer: Deliverer, user: str) -> m.PresenceEntry:
    """Return what is believed of one user now."""
    session = deliverer.active.get(user)
    if session is None:
        return m.PresenceEntry(user, False, "", -1)
    return m.PresenceEntry(user, True, session.link.node, session.number)


def link_lost(deliverer: Deliverer, link: Link) -> None:
    """Take the users of a link offline; their sessions may be resumed on another."""
    for session in list(link.sessions.values()):
        deliverer.end(session)


def resumed(
    deliverer: Deliverer,
    inbox: Inbox | None,
    ended: int,
    mark: m.ResumeMark,
    link: Link,
    window_bytes: int,
) -> Session | ErrorCode:
    """Open a session again that an edge still holds, if it is the current one.

    Args:
        deliverer: Who is online.
        inbox: The inbox that the mark names, if there is one.
        ended: The number of the inbox's session that was logged out last, or -1.
        mark: What the edge holds.
        link: Where it goes on.
        window_bytes: The session's window.

    Returns:
        The session, delivering behind what the edge received; or why it is refused.
    """
    if inbox is None or mark.session > inbox.session_durable or mark.session in (0, ended):
        return ErrorCode.UNKNOWN_SESSION
    if mark.session < inbox.session_durable:
        return ErrorCode.SUPERSEDED
    current = deliverer.active.get(inbox.name)
    if current is not None:
        deliverer.end(current)
    # What is trimmed was acknowledged once: nobody can be sent it, whatever a mark says.
    received = max(min(mark.received_pos, inbox.pos_end - 1), inbox.floor_durable - 1)
    session = Session(inbox, mark.session, link, received + 1, window_bytes)
    if mark.acked_pos < received:
        session.window.resumed(mark.acked_pos + 1, received, mark.in_flight_bytes)
    deliverer.open(session)
    return session
