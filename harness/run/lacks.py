"""What a system lacks of what a plan asks for: an ability, a node, a link, a promise. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from harness.checkers.check import all_checks
from harness.faults.fault import LINK, NODE, PROCESS, SERVER, SWITCHED, TOXIPROXY
from harness.faults.schedule import Planned
from harness.scenario.phases import (
    AskPresence,
    Drain,
    Inspect,
    Kill,
    Phase,
    Promote,
    Restart,
    Start,
)
from harness.systems.port import System, promises_in
from harness.systems.promises import Ability, Promise
from harness.systems.topology import CLIENT_LINKS, Topology

CORE = "core"
_CORE_LINK = "edge-core:"
_EDGE = "edge:"
_LOAD = "load:"
_EDGE_METRICS = "edge_"
_OF_SERVER = ("cpu_us_per_message", "core_rss_max_bytes")
_MEMORY = "_rss_max_bytes"
_NO_EDGES = "clients reach the node that stores in one hop: there are no edges"
_NOT_OURS = "its processes are not ours"

_NEEDED_FOR = {
    NODE: Ability.KILL,
    SERVER: Ability.RESTART,
    PROCESS: Ability.PAUSE,
    SWITCHED: Ability.SWITCHES,
}
"""What a system must be able to do for a fault that aims at one of its processes."""

_ON_PROCESSES = frozenset(_NEEDED_FOR.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something planned that a system cannot have.

    Attributes:
        what: In words, as reports say it: "process_kill on core".
        why: In words: "nats at an endpoint: its processes are not ours".
    """

    what: str
    why: str


def is_endpoint(place: str) -> bool:
    """Say whether a system is somebody else's server, by how it was asked for."""
    _, _, options = place.partition("?")
    return "endpoint" in dict(parse_qsl(options))


def cannot(place: str, name: str) -> str:
    """Return that a system cannot have something done to it, and why if it is at an endpoint."""
    if is_endpoint(place):
        return f"{name} at an endpoint cannot: its processes are somebody else's, and left alone"
    return f"{name} cannot"


class Lacks:
    """Answers, for one system, what of a plan it cannot have.

    Args:
        system: The system under test.
        place: How it was asked for, its options included.
        topology: Where it promises less, or None: as anywhere.
    """

    def __init__(self, system: System, place: str = "", topology: Topology | None = None) -> None:
        self._system = system
        self._topology = topology
        self._promises = system.promises if topology is None else promises_in(system, topology)
        self._elsewhere = is_endpoint(place)

    def _ability(self, ability: Ability, what: str) -> Lack | None:
        if ability in self._system.abilities:
            return None
        name = self._system.name
        if self._elsewhere and ability in _ON_PROCESSES:
            return Lack(what=what, why=f"{name} at an endpoint: {_NOT_OURS}")
        return Lack(what=what, why=f"{name} has no ability {ability.value!r}")

    def _no_edge(self, what: str) -> Lack:
        return Lack(what=what, why=f"{self._system.name}: {_NO_EDGES}")

    def of_presence(self) -> Lack | None:
        """Return why nobody can be asked who is online."""
        return self._ability(Ability.PRESENCE, "questions for presence")

    def of_phase(self, phase: Phase) -> Lack | None:
        """Return why a phase cannot be carried out, None if it can."""
        match phase:
            case Promote():
                return self._ability(Ability.RESIZE, "promotion")
            case AskPresence():
                return self.of_presence()
            case Inspect() | Drain(inspect=True):
                return self._ability(Ability.INSPECT, "inspection of the store")
            case Restart() | Kill() | Start():
                return self._of_node(phase)
            case _:
                return None

    def _of_node(self, phase: Restart | Kill | Start) -> Lack | None:
        what = f"phase {type(phase).__name__} of {phase.role}"
        if phase.role == "edge" and self._system.one_hop:
            return self._no_edge(what)
        in_order = isinstance(phase, Restart) and not phase.kill
        return self._ability(Ability.RESTART if in_order else Ability.KILL, what)

    def of_fault(self, planned: Planned, topology: Topology) -> Lack | None:
        """Return why a fault cannot be done, None if it can as far as the plan tells."""
        on, aims_at = planned.on, planned.fault.aims_at
        what = f"{planned.fault.kind} on {on}"
        if self._system.one_hop and _fits_only_edges(on, aims_at, topology):
            return self._no_edge(what)
        # The harness' own processes can be paused whatever the system is.
        if aims_at != SWITCHED and (on.startswith(_LOAD) or on == TOXIPROXY):
            return None
        ability = _NEEDED_FOR.get(aims_at)
        return None if ability is None else self._ability(ability, what)

    def unmeasured(self, text: str) -> Lack | None:
        """Return why a limit has nothing to be measured by, None if it has."""
        what = f"limit {text}"
        if text.strip().startswith(_EDGE_METRICS) and self._system.one_hop:
            return self._no_edge(what)
        if self._elsewhere and text.strip().startswith(_OF_SERVER):
            return Lack(what=what, why=f"{self._system.name} at an endpoint: {_NOT_OURS}")
        return None

    def of_limit(self, text: str) -> Lack | None:
        """Return why a scenario cannot ask for a limit, None if it can."""
        if lack := self.unmeasured(text):
            return lack
        what = f"limit {text}"
        if _MEMORY in text and Promise.LIMITS not in self._promises:
            return Lack(what=what, why=f"{self._system.name} promises no bound on its memory")
        return None

    def of_check(self, check_id: str) -> Lack | None:
        """Return why a check does not apply, None if it does or if there is no such check."""
        needs = {spec.id: spec.needs for spec in all_checks()}.get(check_id)
        if needs is None or needs in self._promises:
            return None
        why = f"{self._system.name} does not promise {needs.value!r}"
        if self._topology is not None and needs in self._system.promises:
            why += f" under retention {self._topology.retention!r}"
        return Lack(what=f"check {check_id}, which carries the claim", why=why)


def _fits_only_edges(on: str, aims_at: str, topology: Topology) -> bool:
    """Say whether a target is an edge or a link behind one, and nothing that is there without."""
    if on.startswith((_EDGE, _CORE_LINK)):
        return True
    others = (CLIENT_LINKS,) if aims_at == LINK else (CORE, _LOAD, TOXIPROXY)
    if any(fnmatchcase(other, on) or on.startswith(other) for other in others):
        return False
    return any(fnmatchcase(name, on) for name in _behind_edges(aims_at, topology))


def _behind_edges(aims_at: str, topology: Topology) -> Iterator[str]:
    prefix = _CORE_LINK if aims_at == LINK else _EDGE
    return (f"{prefix}{edge}" for edge in topology.edges)
