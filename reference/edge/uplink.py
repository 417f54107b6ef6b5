"""One connection to the core: the batches on their way over it and the questions asked on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reference.dialer import Dialer, DialSettings
from reference.edge.buffer import ResendBuffer
from reference.edge.clients import User
from reference.edge.settings import LINK_REQUESTS_MAX
from reference.events import Effect
from reference.reach import Reach
from reference.wire import messages as m

NOBODY: Final = -1
"""The connection of a question that the edge asks for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who asked: `request` is the client's own number, `inbox` not "" for a session's login."""

    user: User
    conn: int
    request: int
    inbox: str = ""
    window_bytes: int = 0


class Uplink:
    """A core link. Its dialer opens it again whenever it is lost."""

    def __init__(
        self, settings: DialSettings, link: int, now_ns: int, reach: Reach | None = None
    ) -> None:
        self.dialer = Dialer(settings, link)
        self.buffer = ResendBuffer(reach)
        self.lost_ns = now_ns
        """When it was lost, or the edge started."""
        self._was_ready = False
        self._questions: dict[int, Question] = {}
        self._request = 0

    @property
    def questions(self) -> int:
        """How many questions are unanswered."""
        return len(self._questions)

    def welcomed(self) -> None:
        """The core has answered the greeting on the present connection."""
        self._was_ready = True

    def ask(self, question: Question) -> int:
        """Return this link's number for a question, or -1: LINK_REQUESTS_MAX are unanswered."""
        if len(self._questions) >= LINK_REQUESTS_MAX:
            return -1
        self._request += 1
        self._questions[self._request] = question
        return self._request

    def answered(self, request: int) -> Question | None:
        """Return the question that the core answers, once."""
        return self._questions.pop(request, None)

    def lost(self, now_ns: int) -> list[Question]:
        """The connection is gone: return the questions that will not be answered."""
        if self._was_ready:
            self.lost_ns = now_ns
            self._was_ready = False
        self.dialer.failed(now_ns)
        self.buffer.link_lost()
        left = list(self._questions.values())
        self._questions.clear()
        return left

    def pump(self) -> list[Effect]:
        """Send what the core's credit allows, unless a piece is under way."""
        dialer = self.dialer
        if dialer.ready and not dialer.outlet.under_way:
            segments = tuple(self.buffer.send(dialer.credit_bytes))
            if segments:
                dialer.outlet.offer(m.BatchSend(segments=segments))
        return dialer.flush()
