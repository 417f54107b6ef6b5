"""Planted bugs come in by one door: the self-test, which asks for one by name.

Whoever else brings one in, by a system, by a launcher in the topology's options or by a node that
says so itself, is refused before a verdict can be read as one about the real system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.scenario.scenario import Plan
from harness.systems.port import System

LAUNCHER_OPTION = "launcher"
"""The option of a topology that starts nodes through another module."""

BUG_WORD = "--bug"
"""What a launcher calls the option that plants a bug."""


KNOWN_LAUNCHERS = frozenset({"harness.testing.launch", "reference.node"})
"""Modules that start nodes of the reference, and say so where one has a bug."""


def refuse_planted(system: System, plan: Plan | None, asked_for: str = "") -> None:
    """Refuse a plan or system with a bug that the self-test has not asked for.

    Args:
        system: The system under test.
        plan: What is to be done with it; None where there is no plan.
        asked_for: The bug that the self-test plants in this run, "" in every other run.

    Raises:
        UsageError: It brings a bug of its own; says which way.
    """
    bug = str(getattr(system, "planted_bug", ""))
    if bug and bug != asked_for:
        raise _refusal(f"the system has the bug {bug!r}")
    launcher = () if plan is None else plan.topology.options.get(LAUNCHER_OPTION, ())
    words = launcher.split() if isinstance(launcher, str) else [str(word) for word in launcher]
    for word in words:
        if word == BUG_WORD or word.startswith(f"{BUG_WORD}="):
            raise _refusal(f"the topology's launcher plants one: {' '.join(words)}")
    if words and words[0] not in KNOWN_LAUNCHERS:
        # A module of one's own could start nodes that do not own up to what was put into them.
        raise UsageError(
            f"the topology's launcher {words[0]!r}: one of {', '.join(sorted(KNOWN_LAUNCHERS))};"
            " nodes that are started otherwise are a system of their own (`tallystick new system`)"
        )


def refuse_deployed(config: Mapping[str, Any], asked_for: str = "") -> None:
    """Refuse a system of which a node says itself that it has a bug that was not asked for.

    Raises:
        UsageError: One does.
    """
    bug = config.get("planted_bug")
    if bug and bug != asked_for:
        raise _refusal(f"a node says that it has the bug {bug!r}")


def _refusal(way: str) -> UsageError:
    return UsageError(
        f"planted bugs belong to `tallystick selftest`, not to a run that is to prove something: "
        f"{way}"
    )
