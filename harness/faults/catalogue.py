"""Every fault in words, from its class: what it does, its parameters, what is observed of it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import Any

from harness.faults.registry import faults

UNITS = {
    "_bytes_per_s": "bytes/s",
    "_per_s": "1/s",
    "_ms": "ms",
    "_s": "s",
    "_bytes": "bytes",
    "_count": "count",
}
"""What the end of a parameter's name says of it; without one it is a word."""

_PARAMETER = re.compile(r"^(\w+): (.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault."""

    name: str
    default: Any
    unit: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One fault.

    Attributes:
        kind: As schedules and journals name it.
        name: As `tallystick` exports its class.
        aims_at: What it can be done to.
        does: What is really done, with its limits.
        observed: What is measured of it; without that the run is UNKNOWN.
        parameters: In the order of its fields.
    """

    kind: str
    name: str
    aims_at: str
    does: str
    observed: str
    parameters: tuple[Parameter, ...]


def catalogue() -> list[About]:
    """Return every registered fault, by kind."""
    return [_about(kind, cls) for kind, cls in faults().items()]


def _about(kind: str, cls: Any) -> About:
    paragraphs = inspect.getdoc(cls).split("\n\n")  # type: ignore[union-attr]
    told = [" ".join(text.split()) for text in paragraphs if not text.startswith("Attributes:")]
    observed = [text.removeprefix("Observed: ") for text in told if text.startswith("Observed: ")]
    return About(
        kind=kind,
        name=cls.__name__,
        aims_at=cls.aims_at,
        does=" ".join(text for text in told if not text.startswith("Observed: ")),
        observed=" ".join(observed),
        parameters=tuple(_parameters(cls, paragraphs)),
    )


def _parameters(cls: Any, paragraphs: list[str]) -> list[Parameter]:
    helps: dict[str, str] = {}
    name = ""
    for line in (line for text in paragraphs if text.startswith("Attributes:")
                 for line in text.splitlines()[1:]):  # fmt: skip
        found = _PARAMETER.match(line.strip())
        # A line that is deeper goes on with the parameter before it.
        if found and not line.startswith(" " * 8):
            name = found[1]
            helps[name] = found[2]
        elif name:
            helps[name] += f" {line.strip()}"
    return [
        Parameter(
            name=field.name,
            default=field.default,
            unit=next((u for end, u in UNITS.items() if field.name.endswith(end)), ""),
            help=helps.get(field.name, ""),
        )
        for field in dataclasses.fields(cls)
    ]
