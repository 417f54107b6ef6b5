"""What a run tells those who watch it. Watching never changes the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is. Totals count messages since its start.

    Attributes:
        t_s: Seconds since the start of the run.
        offered: Messages that the schedule wanted sent.
        acknowledged: Messages known to be stored durably.
        delivered: Distinct messages delivered.
        in_flight: Handed over and not yet answered.
        lag: Acknowledged and not yet delivered.
        reconnects: Connections that came back, senders and receivers.
        active_faults: The faults that hold now, in words.
        checks: The state of each check by id ("PASS" means: nothing found so far).
        checks_upto_s: They speak of the records up to this time.
    """

    t_s: float
    offered: int = 0
    acknowledged: int = 0
    delivered: int = 0
    in_flight: int = 0
    lag: int = 0
    reconnects: int = 0
    active_faults: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    checks_upto_s: float = 0.0


class Observer(Protocol):
    """Watches a run. Its methods return soon and raise nothing.

    Attributes:
        wants_checks: Whether it shows the states of the checks, which cost a tenth of a core.
    """

    wants_checks: bool

    def phase(self, name: str) -> None:
        """A phase begins."""

    def progress(self, progress: Progress) -> None:
        """Some time has passed; called several times a second or less."""

    def fault(self, text: str) -> None:
        """A fault was confirmed or healed; `text` says which, where and with what effect."""

    def note(self, text: str) -> None:
        """Something worth a line happened."""


class NullObserver:
    """Watches nothing: for tests and programs."""

    wants_checks = False

    def phase(self, name: str) -> None:
        """Do nothing."""

    def progress(self, progress: Progress) -> None:
        """Do nothing."""

    def fault(self, text: str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""
