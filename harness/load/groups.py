"""Client groups: which proxies a client goes through. Pure; known before anything is deployed.

A group has a proxy of its own to every edge. Up to `ACTORS_APART_MAX` actors each is a group, so a
fault can hit one sender or receiver alone; beyond that a group is a load process. The readers that
audit an inbox at the end are no actors: they share the proxies of their load process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.scenario.performed import phases_of
from harness.scenario.phases import DEVICE, Load, Login, Promote, Send
from harness.scenario.scenario import Plan

ACTORS_APART_MAX = 64
"""Most actors with proxies of their own: 320 proxies at five edges, which open in 0.1 s."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")


def sender_name(serial: int) -> str:
    """Return the name of the sender with that number in the order of the plan."""
    return f"sender-{serial}"


def extra_name(serial: int) -> str:
    """Return the name of a sender that the seed drew, with its number in the order of the run."""
    return f"extra-{serial}"


def reader_name(inbox: str, device: str = DEVICE) -> str:
    """Return the name of the consumer lineage that reads an inbox on a device during the run."""
    return f"{device}-{inbox}"


def process_group(process: int) -> str:
    """Return the group of a load process, which has the number of its history file."""
    return f"load-{process}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of a run.

    Attributes:
        actors: The names of the actors that are groups of their own; none beyond the limit.
        processes: How many load processes there are, the one with the receivers included.
    """

    actors: frozenset[str]
    processes: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every group: the actors in order of their names, then the load processes."""
        apart = sorted({_plain(name) for name in self.actors}, key=_by_number)
        return (*apart, *(process_group(index + 1) for index in range(self.processes)))

    def of(self, actor: str, process: int) -> str:
        """Return the group of an actor that a load process carries."""
        return _plain(actor) if actor in self.actors else process_group(process)


def groups_of(plan: Plan) -> Groups:
    """Return the groups that a plan needs."""
    senders = 0
    inboxes: set[str] = set()
    for phase in phases_of(plan.phases):
        match phase:
            case Send():
                senders += phase.stream.producers
                inboxes.update(phase.stream.to)
            case Load():
                senders += sum(stream.producers for stream in phase.streams)
                inboxes.update(inbox for stream in phase.streams for inbox in stream.to)
                inboxes.update(each.inbox for _, each in phase.during if isinstance(each, Promote))
            case Promote():
                inboxes.add(phase.inbox)
            case Login(device=device, inboxes=read) if device == DEVICE:
                inboxes.update(read)
            case _:
                pass
    # Who was drawn shares the proxies of a load process: faults aim at the plan's own.
    extra = set(plan.extra_actors)
    readers = [name for name in map(reader_name, inboxes) if name not in extra]
    actors = [*map(sender_name, range(senders)), *readers]
    return Groups(
        actors=frozenset(actors if len(actors) <= ACTORS_APART_MAX else ()),
        processes=plan.load_processes + 1,
    )


def _plain(name: str) -> str:
    """Return a name without what means something in patterns and paths.

    Two inboxes whose names differ only in such characters share their proxies.
    """
    return _NOT_PLAIN.sub("_", name)


def _by_number(name: str) -> tuple[str, int, str]:
    kind, _, rest = name.partition("-")
    return kind, int(rest) if rest.isdigit() else -1, rest
