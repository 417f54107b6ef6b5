"""A conformance case: what it protects, what it needs, and how it ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from harness.conform.bench import Bench
from harness.systems.promises import Ability, Promise

Body: TypeAlias = Callable[[Bench], Awaitable[str | None]]
"""What it returns was measured, and is told beside a PASS."""

Retention: TypeAlias = Literal["run", "ack"]


class Ended(StrEnum):
    """How a case ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that an adapter must do.

    Attributes:
        name: For the table and for ``--only``.
        protects: What goes wrong in runs when it does not.
        body: Tries it; raises `Broken`.
        promises: Those without which nothing is asked.
        abilities: Those without which it cannot be tried.
        retention: Of the topology in which the system is deployed for it.
    """

    name: str
    protects: str
    body: Body
    promises: frozenset[Promise] = frozenset()
    abilities: frozenset[Ability] = frozenset()
    retention: Retention = "run"


CASES: list[Case] = []
"""All cases, in the order in which they are tried (`harness.conform.registered`)."""


def case(
    protects: str,
    *,
    promises: tuple[Promise, ...] = (),
    abilities: tuple[Ability, ...] = (),
    retention: Retention = "run",
) -> Callable[[Body], Body]:
    """Register a case under its function's name."""

    def register(body: Body) -> Body:
        CASES.append(
            Case(
                name=body.__name__,
                protects=protects,
                body=body,
                promises=frozenset(promises),
                abilities=frozenset(abilities),
                retention=retention,
            )
        )
        return body

    return register
