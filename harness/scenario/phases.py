"""The phases of a scenario: the small vocabulary a plan is written in.

A phase is data. The runner carries the phases out one after the other; each is over when its
condition holds or its deadline has passed, never after a sleep. Inboxes and users are the same
names. Edges are named by the topology.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from harness.definitions import (
    at_least,
    check_fields,
    name,
    names,
    not_negative,
    one_of,
    positive,
    refusal,
)
from harness.faults.schedule import Planned
from harness.scenario.extras import Extra, Moves

DEVICE = "reader"
"""The receiver of an inbox that phases speak of when they name no other."""

CORE, EDGE = "core", "edge"
"""The roles of nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Who sends what to whom.

    Attributes:
        to: Inboxes; producer i writes to inbox ``i mod len(to)``.
        producers: How many senders, spread evenly over the edges and the load processes.
        rate_per_s: Messages per second of all of them together, by schedule (open loop);
            0 keeps every outbox full (closed loop), for finding the highest rate.
        count: Messages per producer after which it stops; 0: until the phase ends.
        batch_count: Messages per batch; 1 sends single messages.
    """

    to: tuple[str, ...]
    producers: int = 1
    rate_per_s: float = 0.0
    count: int = 0
    batch_count: int = 1

    def __post_init__(self) -> None:
        check_fields(
            self, to=names, producers=at_least(1), rate_per_s=not_negative, count=not_negative,
            batch_count=at_least(1),
        )  # fmt: skip
        if self.producers < len(self.to):
            raise refusal(
                self, "producers",
                f"{len(self.to)} or more: each writes to one of {len(self.to)} inboxes, so"
                f" {len(self.to) - self.producers} would get nothing",
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Continuous random connect and disconnect.

    Attributes:
        sender_up_s: Mean time in s a sender stays connected; 0: senders do not churn. Half of the
            cuts come right behind a submitted batch, while its bytes are under way.
        receiver_up_s: Mean time in s a receiver stays logged in; 0: receivers do not churn.
        down_s: Mean time in s between a disconnect and the next connect, to an edge drawn anew.
        from_cursor_share: Share of the receivers' logins that leave their place to the system's
            durable cursor, as a device without a memory of its own does; what they had not
            acknowledged comes again, marked. The others name the last position that they have.
    """

    sender_up_s: float = 0.0
    receiver_up_s: float = 0.0
    down_s: float = 0.2
    from_cursor_share: float = 0.0

    def __post_init__(self) -> None:
        check_fields(
            self,
            sender_up_s=not_negative,
            receiver_up_s=not_negative,
            down_s=not_negative,
            from_cursor_share=not_negative,
        )
        if self.from_cursor_share > 1:
            raise refusal(self, "from_cursor_share", "a share, 1 at most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Set the bucket count of an inbox (a promotion or a demotion).

    An answer that leaves the outcome open is asked for again.

    Attributes:
        inbox: Whose.
        bucket_count: What it is to be, 1 or more.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    inbox: str
    bucket_count: int
    optional: bool = False

    def __post_init__(self) -> None:
        check_fields(self, inbox=name, bucket_count=at_least(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Cut every client that is connected, in all regions and at the same moment, while load runs.

    Attributes:
        down_s: Seconds that they stay away; then all come back at once, to edges drawn anew.
    """

    down_s: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self, down_s=not_negative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspect:
    """Record where every message of the inboxes is stored (buckets, epochs, positions).

    Attributes:
        inboxes: Which.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    inboxes: tuple[str, ...]
    optional: bool = False

    def __post_init__(self) -> None:
        check_fields(self, inboxes=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send `stream.count` messages per producer and wait until every outcome is known.

    Attributes:
        stream: What is sent; its `count` is 1 or more.
        within_s: Deadline in s; passing it leaves safety UNKNOWN (`stuck`, or `drain_slow` if
            outcomes still came).
    """

    stream: Stream
    within_s: float = 60.0

    def __post_init__(self) -> None:
        check_fields(self, within_s=positive)
        if self.stream.count < 1:
            raise refusal(self, "stream", "its count is 1 or more: how many each producer sends")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendExtras:
    """Let senders that the seed drew send, and wait as `Send` does; the runner puts it in.

    Attributes:
        extras: Who sends.
        within_s: Deadline in s, as that of `Send`.
    """

    extras: tuple[Extra, ...]
    within_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Open-loop load for a time, with churn, faults, promotions and more while messages flow.

    Attributes:
        duration_s: Seconds that the schedules run.
        streams: What is sent.
        churn: Disconnects and reconnects while it lasts.
        faults: The fault schedule; times count from the begin of the phase.
        during: Promotions, storms and inspections, as (seconds after the begin, what).
        presence_every_s: Seconds between two questions for the presence of all receivers; 0: none.
        presence_optional: A system that cannot tell who is online is tried without these questions;
            the result says so.
        waits_for_restarts: Where clients talk to the core itself, faults and events behind one that
            ends it come later by the time that the system says a restart takes, behind a pause by
            the pause, and the load lasts as much longer; a link on which nobody is answered shows
            no fault.
        label: Names the load where several are compared (E2): "baseline" for the quiet ones,
            any other word for those that are held against them; "" takes no part.
        extras: Senders that the seed drew beside the streams; the runner fills them in.
    """

    duration_s: float
    streams: tuple[Stream, ...]
    churn: Churn = Churn()
    faults: tuple[Planned, ...] = ()
    during: tuple[tuple[float, Promote | Storm | Inspect], ...] = ()
    presence_every_s: float = 0.0
    presence_optional: bool = False
    waits_for_restarts: bool = False
    label: str = ""
    extras: tuple[Extra, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, duration_s=positive, presence_every_s=not_negative)
        for after_s, event in self.during:
            if not 0 <= after_s <= self.duration_s:
                what = f"{type(event).__name__} at {after_s:g} s of a load of {self.duration_s:g} s"
                raise refusal(self, "during", what)
        for planned in self.faults:
            if planned.at_s > self.duration_s:
                what = f"{planned.fault.kind} on {planned.on} at {planned.at_s:g} s"
                raise refusal(self, "faults", f"{what} of a load of {self.duration_s:g} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Log receivers in, one per inbox; each stays and reads until logout or drain.

    A receiver resumes behind the last position that it has itself, which is what makes delivery
    exactly once.

    Attributes:
        inboxes: Whose; a receiver each.
        edge: Where all of them log in; "": spread over all edges.
        device: Names the receivers. Another one than before is a receiver of its own, with a place
            of its own in the inbox; its login ends the session of the user's other one.
        from_cursor: Leave the place to the system's durable cursor.
        reads: Without it a receiver takes what its window holds and acknowledges nothing, so the
            system must hold back the rest, until a phase `Read` or the drain.
        within_s: Deadline in s; passing it leaves safety UNKNOWN (`stuck`).
        moves: How receivers that the seed drew move until the next load has ended; the runner fills
            it in.
    """

    inboxes: tuple[str, ...]
    edge: str = ""
    device: str = DEVICE
    from_cursor: bool = False
    reads: bool = True
    within_s: float = 20.0
    moves: Moves | None = None

    def __post_init__(self) -> None:
        check_fields(self, inboxes=names, device=name, within_s=positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Let receivers that logged in without reading begin to read.

    Attributes:
        inboxes: Whose.
        device: Which of the users' receivers.
    """

    inboxes: tuple[str, ...]
    device: str = DEVICE

    def __post_init__(self) -> None:
        check_fields(self, inboxes=names, device=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Wait until the logged-in receivers have everything that lay in their inboxes at the begin.

    Attributes:
        inboxes: Whose.
        device: Which of the users' receivers.
        within_s: Deadline in s; passing it leaves safety UNKNOWN (`stuck`).
    """

    inboxes: tuple[str, ...]
    device: str = DEVICE
    within_s: float = 60.0

    def __post_init__(self) -> None:
        check_fields(self, inboxes=names, device=name, within_s=positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """Log receivers out in order.

    Attributes:
        inboxes: Whose receivers, those that logged in without a name of a device.
    """

    inboxes: tuple[str, ...]

    def __post_init__(self) -> None:
        check_fields(self, inboxes=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Stop a node (SIGTERM) or kill it (SIGKILL), and start it again.

    Attributes:
        role: "core" or "edge".
        index: Which edge, by its place in the topology; 0 for a core.
        kill: SIGKILL instead of SIGTERM.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    role: str
    index: int = 0
    kill: bool = False
    optional: bool = False

    def __post_init__(self) -> None:
        _check_node(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Kill a node (SIGKILL); it stays away until a phase `Start`.

    Attributes:
        role: "core" or "edge".
        index: Which edge, by its place in the topology; 0 for a core.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    role: str
    index: int = 0
    optional: bool = False

    def __post_init__(self) -> None:
        _check_node(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start a node again that a phase `Kill` has ended.

    Attributes:
        role: "core" or "edge".
        index: Which edge, by its place in the topology; 0 for a core.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    role: str
    index: int = 0
    optional: bool = False

    def __post_init__(self) -> None:
        _check_node(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPresence:
    """Ask who is online, once every user has been left alone for the promised bound.

    Attributes:
        users: About whom; a user and an inbox are the same name.
        optional: A system that cannot do it is tried without it; the result says so.
    """

    users: tuple[str, ...]
    optional: bool = False

    def __post_init__(self) -> None:
        check_fields(self, users=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Heal, let the senders finish, read every inbox to its confirmed end.

    Attributes:
        within_s: Deadline of the whole drain in s; passing it leaves safety UNKNOWN (`drain_slow`).
        stuck_after_s: No progress at all for so many seconds ends it at once (`stuck`).
        reread: Read every inbox once more from the start with a second reader.
        inspect: Record the stored rows of all inboxes at the end; None: of a system that lets its
            store be read. True refuses any other.
    """

    within_s: float = 60.0
    stuck_after_s: float = 15.0
    reread: bool = True
    inspect: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self, within_s=positive, stuck_after_s=positive)


def _check_node(phase: Restart | Kill | Start) -> None:
    check_fields(phase, role=one_of(CORE, EDGE), index=not_negative)
    if phase.role == CORE and phase.index:
        raise refusal(phase, "index", "0, for there is one core")


class Hands(Protocol):
    """What a phase of one's own can do while it is carried out."""

    @property
    def deployment(self) -> Any:
        """The running system, a `tallystick.Deployment`; it can do what it has abilities for."""

    def now_ns(self) -> int:
        """Nanoseconds since the start of the run, as in the history."""

    def note(self, text: str) -> None:
        """Tell those who watch."""

    async def perform(self, phase: Phase) -> None:
        """Carry out another phase as a part of this one.

        One that the own phase declares (`OwnPhase`) is carried out as it applies to the system:
        without the optional things that the system cannot do.

        Raises:
            HarnessError: It could not be done, or it had to be declared and was not.
        """


class OwnPhase(Protocol):
    """A phase that is not in this vocabulary: a frozen dataclass of the author of a scenario.

    Its begin and end stand in the history under `name`; the run's drain comes behind it as behind
    any other. Whatever it starts it must have ended when it returns.

    What it performs by `Hands.perform` is a part of the plan where it says so, by an attribute
    ``performs: tuple[Phase, ...]`` (a field or a property): then it is fitted to the system, shown
    by ``--dry-run``, kept in `schedule.json`, replayed, and every fault of it must show an effect.
    Loads with faults, promotions, storms or questions for presence must be declared, as must
    promotions; performing one undeclared ends the run in ERROR, as does performing undeclared what
    the system cannot do. What is declared and not performed makes the run UNKNOWN
    (`not_performed`).
    """

    @property
    def name(self) -> str:
        """Names it in the history and for those who watch."""

    async def carry_out(self, hands: Hands) -> None:
        """Do it; end by a condition or a deadline.

        Raises:
            HarnessError: It could not be done; the run ends in ERROR.
        """


Phase: TypeAlias = (
    Promote
    | Send
    | SendExtras
    | Load
    | Login
    | Read
    | CatchUp
    | Logout
    | Restart
    | Kill
    | Start
    | AskPresence
    | Inspect
    | Drain
    | OwnPhase
)
