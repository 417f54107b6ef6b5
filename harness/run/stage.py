"""What is running during a run, and what the phases need to know about it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

from harness.faults.nemesis import Nemesis
from harness.history.books import Ledger
from harness.history.records import PhaseMarked
from harness.load.client_errors import ClientErrors
from harness.load.groups import Groups
from harness.run.coverage import Uplinks
from harness.run.crew import Crew
from harness.run.observer import Observer
from harness.run.online import CheckStates
from harness.scenario.scenario import Plan
from harness.systems.port import Deployment, System


@dataclass(slots=True, kw_only=True)
class Stage:
    """A deployed system, its load processes and the runner's own recorder.

    Attributes:
        groups: Which proxies each sender and receiver goes through.
        t0_ns: The host's monotonic clock at the start of the run.
        errors: What the runner itself was told by the system, as its administrator.
        epochs: The epoch in force per inbox, as far as the runner's own promotions know.
        ruled: The epoch per inbox behind which the rule was allowed the next one, in the history.
        turns: Lets promotions of one inbox wait for each other.
        inspecting: Lets inspections wait for each other.
        inboxes: Every inbox that anything was sent to or promoted.
        seated: Inboxes that have a receiver.
        sender_serial: How many senders there were, for their names and places.
        extra_serial: How many senders there were that the seed drew, likewise.
        senders: The name of each sender, by its producer as text.
        uplinks: What the edges count of their links to the core.
        lag_ns_max: How late a node was woken at the worst, by its own measurement.
        reach_told: What each node said last of how often it reached a rare state.
        commits: Commits that the system reported, for the bound; -1 unknown.
        checks: What each check amounts to so far, for those who watch.
        ended_early: Reason code of what has ended the phases before their time; "" if nothing has.
        performing: The scope of all phases; cancelling it ends them, and what was recorded counts.
        trouble: Why safety must stay UNKNOWN, as (reason_code, reason); the first counts.
    """

    plan: Plan
    groups: Groups
    seed: int
    t0_ns: int
    system: System
    deployment: Deployment
    crew: Crew
    nemesis: Nemesis
    recorder: Ledger
    observer: Observer
    rng: random.Random
    errors: ClientErrors = field(default_factory=ClientErrors)
    epochs: dict[str, int] = field(default_factory=dict)
    ruled: dict[str, int] = field(default_factory=dict)
    turns: dict[str, anyio.Lock] = field(default_factory=dict)
    inspecting: anyio.Lock = field(default_factory=anyio.Lock)
    inboxes: dict[str, None] = field(default_factory=dict)
    seated: dict[str, None] = field(default_factory=dict)
    sender_serial: int = 0
    extra_serial: int = 0
    senders: dict[str, str] = field(default_factory=dict)
    uplinks: Uplinks = field(default_factory=Uplinks)
    reach_told: dict[tuple[str, int, str], int] = field(default_factory=dict)
    commits: int = -1
    lag_ns_max: int = 0
    checks: CheckStates = field(default_factory=CheckStates)
    ended_early: str = ""
    performing: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    trouble: list[tuple[str, str]] = field(default_factory=list)

    def now_ns(self) -> int:
        """Nanoseconds since the start of the run."""
        return time.monotonic_ns() - self.t0_ns

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Mark the begin and the end of a phase in the history and for those who watch."""
        self.observer.phase(name)
        self.recorder.write_now((PhaseMarked(t_ns=self.now_ns(), name=name, begins=True),))
        yield
        self.recorder.write_now((PhaseMarked(t_ns=self.now_ns(), name=name, begins=False),))

    def note_inboxes(self, inboxes: tuple[str, ...]) -> None:
        """Remember inboxes that the drain has to read."""
        self.inboxes.update(dict.fromkeys(inboxes))
