"""The nemesis: carries out a schedule of faults and keeps their journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio

from harness.errors import HarnessError, UsageError
from harness.faults.fault import Effect, Fault, Target, takes_target
from harness.faults.schedule import Planned
from harness.faults.targets import Targets, check_target
from harness.faults.waiting import hold
from harness.history.records import BY_PHASE, HEALING, FaultMarked, Record
from harness.report.result import Fault as JournalEntry
from harness.systems.topology import CLIENT_LINKS

FAULT_WITHIN_S = 60.0
"""Deadline for injecting or healing one fault; a core that recovers a long log is the longest."""

IN_USE_WITHIN_S = 2.0
"""How long a fault on a pattern of client links waits for the first of them to be in use, where
nobody says that a restart takes longer."""

STRIKES_MAX = 3
"""How often a fault on clients is tried that all went away when it struck."""

POLL_S = 0.02

REQUESTED = "requested"
CONFIRMED = "confirmed"
HEALED = "healed"


@dataclass(slots=True, kw_only=True)
class _Strike:
    """One fault on one target, as far as it got."""

    id: str
    fault: Fault
    target: Target
    requested_ns: int
    confirmed_ns: int | None = None
    healed_ns: int | None = None
    effective: bool = False
    effect: Effect = field(default_factory=dict)

    @property
    def measured(self) -> Effect:
        """What is told of the effect: nothing was measured to less than a thousandth."""
        return {name: round(value, 3) for name, value in self.effect.items()}

    def __str__(self) -> str:
        return f"{self.fault.kind} on {self.target.name}"


class Nemesis:
    """Breaks things by schedule, notes what was observed, and heals everything.

    Args:
        targets: Where names are resolved, and what is at rest when all is healed.
        now_ns: Nanoseconds since the start of the run.
        record: Takes a record for the history; called when a fault is requested, confirmed, about
            to be healed and healed.
        observe: Takes a line for people at each confirmation and healing.
        in_use_within_s: How long a fault on a pattern of client links waits for the first of them
            to be in use: as long as clients may wait for the system to come back.
    """

    def __init__(
        self,
        *,
        targets: Targets,
        now_ns: Callable[[], int],
        record: Callable[[Record], object],
        observe: Callable[[str], object] | None = None,
        in_use_within_s: float = 0.0,
    ) -> None:
        self._in_use_within_s = in_use_within_s
        self._targets = targets
        self._now_ns = now_ns
        self._record = record
        self._observe = observe
        self._strikes: list[_Strike] = []
        self._faults = 0
        self._turns: dict[tuple[str, str], anyio.Lock] = {}

    def check(self, planned: Sequence[Planned]) -> None:
        """See, before anything runs, that every fault has a target of the right sort.

        Raises:
            UsageError: One has none.
        """
        for item in planned:
            for target in self._targets.resolve(item.on):
                check_target(item.fault, target)

    async def run(self, planned: Sequence[Planned]) -> None:
        """Carry out a schedule whose times count from now; return when its last fault is healed.

        What is planned for a pattern is done to all its targets at the same time. Faults of one
        kind on one target do not overlap, nor do those that end or stop one process, nor those that
        pause, cut or reset one link: the later one waits until the earlier one is healed. If this
        is cancelled, `heal_all` still heals what holds.

        Raises:
            HarnessError: A fault could not be done or undone (in an exception group).
            UsageError: A fault has no target (in an exception group).
        """
        begin_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for item in planned:
                tasks.start_soon(self._carry_out, item, begin_s + item.at_s)

    async def _carry_out(self, item: Planned, due_s: float) -> None:
        await anyio.sleep_until(due_s)
        shared = ""
        for attempt in range(STRIKES_MAX):
            targets = await self._find(item.on)
            async with anyio.create_task_group() as tasks:
                for target in targets:
                    # A client may go away by itself at the moment in which it is struck. So on a
                    # pattern of clients the fault is one, it needs no effect on who was not there
                    # (`harness.history.records.missed`), and if nobody was, those are struck who
                    # are connected then.
                    if target.name.startswith(CLIENT_LINKS):
                        shared = shared or self._new_id()
                        tasks.start_soon(self._strike, shared, item.fault, target)
                    elif attempt == 0:
                        tasks.start_soon(self._strike, self._new_id(), item.fault, target)
            if not shared or any(one.effective for one in self._strikes if one.id == shared):
                return

    def find(self, name: str) -> Target | None:
        """Return the target of a name, None where there is none or several."""
        try:
            found = self._targets.resolve(name)
        except UsageError:
            return None
        return found[0] if len(found) == 1 else None

    async def strike_now(self, fault: Fault, target: Target) -> None:
        """Carry out a fault that a phase asks for, and heal it.

        Raises:
            HarnessError: It could not be done or undone.
        """
        await self._strike(self._new_id(BY_PHASE), fault, target)

    async def begin(self, fault: Fault, target: Target) -> None:
        """Carry out a fault that a phase asks for and another one, or the drain, will end.

        Raises:
            HarnessError: It could not be done.
        """
        await self._inject(self._requested(self._new_id(BY_PHASE), fault, target))

    async def end(self, target: Target) -> bool:
        """Heal what `begin` did to a target; return whether there was any.

        Raises:
            HarnessError: It could not be undone.
        """
        begun = [
            strike
            for strike in self._strikes
            if strike.id.startswith(BY_PHASE)
            and strike.target.name == target.name
            and strike.healed_ns is None
        ]
        for strike in begun:
            await self._heal(strike)
        return bool(begun)

    def _new_id(self, letter: str = "f") -> str:
        self._faults += 1
        return f"{letter}{self._faults}"

    async def _find(self, on: str) -> Sequence[Target]:
        """Return what a name or pattern strikes now: of many client links those in use.

        If nobody is connected for so long, one of them is struck, and shows no effect.
        """
        named = self._targets.resolve(on)
        with anyio.move_on_after(max(IN_USE_WITHIN_S, self._in_use_within_s)):
            while not (found := self._targets.in_use(named)):
                await anyio.sleep(POLL_S)
            return found
        return named[:1]

    def _requested(self, strike_id: str, fault: Fault, target: Target) -> _Strike:
        strike = _Strike(
            id=strike_id,
            fault=fault,
            target=target,
            requested_ns=self._now_ns(),
        )
        self._strikes.append(strike)
        self._mark(strike, REQUESTED, strike.requested_ns)
        return strike

    async def _strike(self, strike_id: str, fault: Fault, target: Target) -> None:
        strike = self._requested(strike_id, fault, target)
        # A busy machine heals late: the healing of one must not undo the next of its kind, and
        # what ends a process must find it running. A slow disk or a clock that is off may well
        # hold while the process is killed. Toxiproxy holds on to what a pause held of a connection
        # that was cut meanwhile, 5 s for each chunk, and the pause with it.
        kind = "" if takes_target(fault) else fault.kind
        async with self._turns.setdefault((kind, target.name), anyio.Lock()):
            await self._inject(strike)
            await hold(fault.duration_s)
            await self._heal(strike)

    async def _inject(self, strike: _Strike) -> None:
        fault, target = strike.fault, strike.target
        strike.effect = await _within(strike, fault.inject(target))
        strike.effective = fault.is_effective(strike.effect)
        strike.confirmed_ns = self._now_ns()
        self._mark(strike, CONFIRMED, strike.confirmed_ns)

    async def _heal(self, strike: _Strike) -> None:
        # Until now it held, for certain; how long healing takes depends on many.
        self._mark(strike, HEALING, self._now_ns())
        strike.effect |= await _within(strike, strike.fault.heal(strike.target))
        # Healing may show that the effect was another one, and never makes up for none.
        strike.effective = strike.effective and strike.fault.is_effective(strike.effect)
        strike.healed_ns = self._now_ns()
        self._mark(strike, HEALED, strike.healed_ns)

    async def heal_all(self) -> None:
        """Heal every fault that still holds, then bring all targets to rest and verify that.

        All of it is tried, also when a part of it fails.

        Raises:
            HarnessError: Something could not be healed; the message names all that failed.
        """
        failed: list[str] = []
        for strike in self._strikes:
            if strike.healed_ns is None:
                try:
                    await self._heal(strike)
                except HarnessError as error:
                    failed.append(str(error))
        try:
            await self._targets.heal()
        except HarnessError as error:
            failed.append(str(error))
        if failed:
            raise HarnessError(f"not everything healed: {'; '.join(failed)}")

    @property
    def active(self) -> tuple[str, ...]:
        """The faults that hold now, in words."""
        return tuple(
            str(strike)
            for strike in self._strikes
            if strike.confirmed_ns is not None and strike.healed_ns is None
        )

    @property
    def under_way(self) -> bool:
        """Whether a fault was asked for that is not healed yet, whether it holds or not."""
        return any(strike.healed_ns is None for strike in self._strikes)

    def journal(self) -> list[JournalEntry]:
        """Return what was done so far, in the order of requests."""
        return [
            JournalEntry(
                id=strike.id,
                kind=strike.fault.kind,
                target=strike.target.name,
                parameters=_parameters(strike.fault),
                requested_ns=strike.requested_ns,
                confirmed_ns=strike.confirmed_ns,
                healed_ns=strike.healed_ns,
                effect=strike.measured,
                effective=strike.effective,
            )
            for strike in self._strikes
        ]

    def _mark(self, strike: _Strike, state: str, t_ns: int) -> None:
        self._record(
            FaultMarked(
                t_ns=t_ns,
                fault=strike.id,
                kind=strike.fault.kind,
                target=strike.target.name,
                state=state,
                effective=strike.effective,
                effect=strike.measured,
            )
        )
        if self._observe is not None and state not in (REQUESTED, HEALING):
            self._observe(describe(strike, state))


def describe(strike: _Strike, state: str) -> str:
    """Return one line for people; it names when the fault was asked for, which may be long ago."""
    seen = ", ".join(f"{name} {value:g}" for name, value in strike.effect.items())
    without = "" if strike.effective else ", WITHOUT EFFECT"
    asked = f", asked for at {strike.requested_ns / 1e9:.1f} s"
    return f"{strike} {state}{asked}{f' ({seen})' if seen else ''}{without}"


async def _within(strike: _Strike, work: Awaitable[Effect]) -> Effect:
    try:
        with anyio.fail_after(FAULT_WITHIN_S):
            return await work
    except TimeoutError as error:
        raise HarnessError(f"{strike}: not done within {FAULT_WITHIN_S} s") from error
    except OSError as error:
        raise HarnessError(f"{strike}: {error}") from error


def _parameters(fault: Fault) -> dict[str, Any]:
    # The protocol cannot say that every fault is a dataclass; the registry sees to it.
    return asdict(fault)  # type: ignore[call-overload, no-any-return]
