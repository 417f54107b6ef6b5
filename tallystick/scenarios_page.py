"""`python -m tallystick.scenarios_page`: write the reference of docs/scenarios.md from docstrings.

What stands there of a name is its docstring: the text, and a table of its fields with their types
and defaults as they are in the code.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.docstrings import told_by
from harness.markdown import put_between, table
from harness.run.limits import METRICS
from harness.systems.promises import IN_WORDS
from tallystick import names

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "scenarios.md"

BEGIN = "<!-- Made by `python -m tallystick.scenarios_page`; do not edit. -->"
END = "<!-- End of what is made. -->"

CHAPTERS: dict[str, tuple[str, ...]] = {
    "A scenario and its plan": (
        "Scenario", "Parameter", "Parameters", "Plan", "Topology", "PayloadSpec", "Requires",
    ),
    "Phases": (
        "Send", "Load", "Login", "Read", "CatchUp", "Logout", "Promote", "Restart", "Kill", "Start",
        "AskPresence", "Inspect", "Drain",
    ),
    "What a load is made of": ("Stream", "Churn", "Storm"),
    "Planned faults": ("Planned", "at", "every", "random_mix"),
    "Phases of one's own": ("OwnPhase", "Hands"),
}  # fmt: skip
"""The names that a scenario is written with, in the order in which they are told."""

_SECTIONS = ("\nRaises:\n", "\nArgs:\n", "\nReturns:\n")


def reference() -> str:
    """Return all chapters in Markdown."""
    parts: list[str] = []
    for chapter, told in CHAPTERS.items():
        parts.append(f"## {chapter}")
        parts += [_entry(name, getattr(names, name)) for name in told]
    parts.append("## Metrics of limits")
    parts.append(table(("metric", "what it says"), ((f"`{m}`", t) for m, t in METRICS.items())))
    parts.append("## Abilities")
    abilities = ((f"`Ability.{one.name}`", words) for one, words in IN_WORDS.items())
    parts.append(table(("ability", "what the harness can do to a system that has it"), abilities))
    return "\n\n".join(parts)


def with_reference(text: str, made: str) -> str:
    """Return a document with the reference between its two marks.

    Raises:
        ValueError: A mark is missing.
    """
    return put_between(text, BEGIN, END, made)


def _entry(name: str, public: type | Callable[..., object]) -> str:
    told = told_by(public.__doc__)
    about = told.about
    for section in _SECTIONS:
        about = about.partition(section)[0].rstrip()
    if not isinstance(public, type):
        return f"### {name}\n\n```python\n{_signature(name, public)}\n```\n\n{about}"
    parts = [f"### {name}", about]
    if dataclasses.is_dataclass(public):
        rows = [
            (f"`{field.name}`", _code(str(field.type)), _default(field), told.fields[field.name])
            for field in dataclasses.fields(public)
        ]
        parts.append(table(("field", "type", "default", "what it says"), rows))
    elif members := list(_members(public)):
        parts.append(table(("member", "what it says"), members))
    return "\n\n".join(parts)


def _signature(name: str, function: Callable[..., object]) -> str:
    whole = inspect.signature(function)
    arguments: list[str] = []
    for one in whole.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        default = "" if one.default is one.empty else f" = {one.default!r}"
        arguments.append(f"{one.name}: {one.annotation}{default}")
    return f"{name}({', '.join(arguments)}) -> {whole.return_annotation}"


def _members(public: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties, with the first line of each docstring."""
    for name, member in vars(public).items():
        if name.startswith("_") or not (isinstance(member, property) or callable(member)):
            continue
        taken = ""
        if not isinstance(member, property):
            taken = f"({', '.join(list(inspect.signature(member).parameters)[1:])})"
        yield f"`{name}{taken}`", told_by(member.__doc__).about.partition("\n")[0]


def _default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return _code(f"{field.default_factory()!r}")
    if field.default is dataclasses.MISSING:
        return "needed"
    if dataclasses.is_dataclass(field.default):
        return _code(f"{type(field.default).__name__}()")
    return _code(repr(field.default))


def _code(text: str) -> str:
    return f"`{text}`"


def main() -> int:
    """Write the document anew; return the exit code."""
    text = DOCUMENT.read_text("utf-8")
    DOCUMENT.write_text(with_reference(text, reference()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
