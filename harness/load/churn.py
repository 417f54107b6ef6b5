"""Churn: who is cut when, and when it comes back. Pure; the draws come from the run's seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec

from harness.load.receiver_actor import ReceiverActor
from harness.load.sender_actor import SenderActor

CUT_BEHIND_SUBMIT = 0.5
"""Share of sender cuts that come right behind a submitted batch, while its bytes are under way."""


class ChurnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Mean times of being up and down, in seconds, both exponentially distributed.

    `up_s_min` is granted before the exponential begins, so that a state can settle. The first cut
    of all comes within `up_s`, evenly spread, so that nobody sits a load out that lasts longer.
    `from_cursor_share`: of the logins behind the cuts, how many leave the place to the cursor.
    """

    up_s: float
    down_s: float
    up_s_min: float = 0.0
    from_cursor_share: float = 0.0

    def next_cut_ns(self, now_ns: int, rng: random.Random, *, is_first: bool) -> int:
        """Draw when a connection that is up now will be cut."""
        mean_s = max(self.up_s - self.up_s_min, 1e-3)
        more_s = rng.uniform(0, mean_s) if is_first else rng.expovariate(1 / mean_s)
        return now_ns + int((self.up_s_min + more_s) * 1e9)

    def back_at_ns(self, now_ns: int, rng: random.Random) -> int:
        """Draw when a connection that is cut now comes back."""
        return now_ns + int(rng.expovariate(1 / self.down_s) * 1e9)


def churn_senders(
    actors: Sequence[SenderActor],
    plan: ChurnPlan,
    now_ns: int,
    rng: random.Random,
    cut: Callable[[SenderActor, int], None],
) -> None:
    """Cut the senders whose time has come."""
    for actor in actors:
        if not actor.up:
            actor.cut_at_ns = -1
        elif actor.cut_at_ns < 0:
            actor.cut_at_ns = plan.next_cut_ns(now_ns, rng, is_first=actor.connects == 1)
        elif now_ns >= actor.cut_at_ns:
            actor.cut_at_ns = -1
            if rng.random() < CUT_BEHIND_SUBMIT:
                actor.on_cut = lambda a: cut(a, plan.back_at_ns(now_ns, rng))
                actor.cut_on_submit = True
            else:
                cut(actor, plan.back_at_ns(now_ns, rng))


def churn_receivers(
    actors: Sequence[ReceiverActor],
    plan: ChurnPlan,
    now_ns: int,
    rng: random.Random,
    cut: Callable[[ReceiverActor, int], None],
) -> None:
    """Cut the receivers whose time has come."""
    for actor in actors:
        if not actor.up:
            actor.cut_at_ns = -1
        elif actor.cut_at_ns < 0:
            actor.cut_at_ns = plan.next_cut_ns(now_ns, rng, is_first=actor.connects == 1)
        elif now_ns >= actor.cut_at_ns:
            actor.cut_at_ns = -1
            actor.from_cursor = rng.random() < plan.from_cursor_share
            cut(actor, plan.back_at_ns(now_ns, rng))
