"""What a fault is. Pure: schedules, and through them scenarios, are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, TypeAlias

LINK, PROCESS, NODE, SERVER, SWITCHED = "link", "process", "node", "server", "switched node"
"""What a fault may aim at: a link; a process, whatever can be done to it; one that can be killed
and started again; one that also ends in order when it is asked to; one that is started with
switches inside, because the schedule has such a fault."""

TOXIPROXY = "toxiproxy"
"""Name of the process that carries every link; it can only be paused."""

Effect: TypeAlias = dict[str, float]
"""What was observed of a fault, by name with its unit last ("connections", "rtt_ms")."""


class Target(Protocol):
    """Something that a fault can be done to: a link or a process of the run."""

    @property
    def name(self) -> str:
        """Unique in the run."""


class Fault(Protocol):
    """A way to break something, with its parameters as fields of a frozen dataclass.

    Registered by `harness.faults.registry.fault`, which sets `kind`. `aims_at` is one of the words
    above; `harness.faults.targets.check_target` sees to it that a target is of that sort.
    """

    kind: ClassVar[str]
    aims_at: ClassVar[str]

    @property
    def duration_s(self) -> float:
        """How long it holds between its confirmation and its healing; 0 for a single blow."""

    async def inject(self, target: Target) -> Effect:
        """Do it, and return what was observed of it.

        Raises:
            HarnessError: It could not be done; whether it did anything is unknown.
        """

    def is_effective(self, effect: Mapping[str, float]) -> bool:
        """Say whether what was observed proves that the fault did what it is for.

        Asked behind `inject`, and again with what `heal` observed added.
        """

    async def heal(self, target: Target) -> Effect:
        """Undo it, and return what was observed of that. Idempotent.

        Raises:
            HarnessError: It could not be undone.
        """


def takes_target(fault: Fault) -> bool:
    """Say whether a fault takes its target for itself; else it may hold beside any other.

    It does if it ends or stops its process (class attribute `takes_process`), or holds or closes
    all connections of its link (`takes_link`). Two such faults on one target are carried out one
    after the other.
    """
    return any(getattr(fault, name, False) for name in ("takes_process", "takes_link"))
