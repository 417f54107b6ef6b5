"""What scenarios are made of checks itself when it is made: every field, by its declared type.

A dataclass of the language calls `check_fields` in its `__post_init__`. The types come from its own
annotations, so a new field is checked without a word here; what a type cannot say (a number's least
value, names that are not empty) is said by a rule per field. A list is taken for a tuple, and a
list, tuple or set for a frozenset, since nobody means anything else by it; nothing else is
converted. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import fields
from functools import cache
from typing import Any, TypeAlias, get_type_hints

from harness.declared import Take, Unfit, short, take_for
from harness.errors import DefinitionError
from harness.user_code import made_at

NAME_BYTES_MAX = 128
"""Longest name of an inbox, a user or a device, in UTF-8, as on the wire."""

Rule: TypeAlias = Callable[[Any], str]
"""Says what is allowed of a value that is not, and "" of one that is."""

_WORD = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_REGION = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")


def check_fields(made: Any, **rules: Rule) -> None:
    """See that every field of what is being made holds what it is declared to.

    Args:
        made: A dataclass whose fields are set, as in `__post_init__`.
        rules: What else must hold, by the field's name; asked of values of the right type.

    Raises:
        DefinitionError: A field does not; says where it was made, and what is allowed.
    """
    for name, take in _takes_of(made):
        value = getattr(made, name)
        try:
            taken = take(value)
        except Unfit as unfit:
            meant = f"; did you mean {unfit.meant}?" if unfit.meant else ""
            raise refusal(made, name, f"{unfit.allowed}{meant}") from None
        rule = rules.get(name)
        if rule is not None and (allowed := rule(taken)):
            raise refusal(made, name, allowed)
        if taken is not value:
            object.__setattr__(made, name, taken)  # Frozen for everybody else.


def refusal(made: Any, name: str, allowed: str) -> DefinitionError:
    """Return the error for a field of what is being made, with the place where it is made."""
    return refuse(f"{type(made).__name__}: {name}={short(getattr(made, name))}: {allowed}")


def refuse(words: str) -> DefinitionError:
    """Return an error that begins with where the user's code is making something now."""
    place = made_at()
    return DefinitionError(f"{place}: {words}" if place else words)


def check_type(value: object, declared: Any, called: str) -> Any:
    """Return an argument of a function of the language as it is taken.

    Raises:
        DefinitionError: It is not of its declared type.
    """
    try:
        return take_for(declared)(value)
    except Unfit as unfit:
        meant = f"; did you mean {unfit.meant}?" if unfit.meant else ""
        raise refuse(f"{called}={short(value)}: {unfit.allowed}{meant}") from None


# Rules: what a type cannot say.


def at_least(least: float) -> Rule:
    """Return the rule that a number is no smaller."""
    return lambda value: "" if value >= least else f"{least:g} or more"


def between(least: float, most: float) -> Rule:
    """Return the rule that a number is in a range, both ends included."""
    return lambda value: "" if least <= value <= most else f"from {least:g} up to {most:g}"


def one_of(*allowed: str) -> Rule:
    """Return the rule that a text is one of a few."""
    return lambda value: "" if value in allowed else f"one of {', '.join(allowed)}"


def positive(value: float) -> str:
    """Rule: more than 0."""
    return "" if value > 0 else "more than 0"


not_negative = at_least(0)
"""Rule: 0 or more."""


def name(value: str) -> str:
    """Rule: the name of an inbox, a user or a device; any printable text that is not blank."""
    if not value.strip():
        return "a name, which is not empty"
    if not value.isprintable() or len(value.encode(errors="replace")) > NAME_BYTES_MAX:
        return f"a name of printable letters, {NAME_BYTES_MAX} bytes at most"
    return ""


def word(value: str) -> str:
    """Rule: a name that becomes a folder, and a word on a command line."""
    return "" if _WORD.fullmatch(value) else "words of letters and digits, joined by _ or -"


def region(value: str) -> str:
    """Rule: a name that becomes part of the names of links and processes, which patterns fit."""
    return "" if _REGION.fullmatch(value) else "words of letters and digits, joined by _ - or ."


def not_blank(value: str) -> str:
    """Rule: a text that says something."""
    return "" if value.strip() else "a text that is not empty"


def names(value: Collection[str]) -> str:
    """Rule: one name or more, each once."""
    return _wrong_names(value, name)


def regions(value: Collection[str]) -> str:
    """Rule: one region or more, each once."""
    return _wrong_names(value, region)


def _wrong_names(value: Collection[str], rule: Rule) -> str:
    if not value:
        return "at least one name"
    seen: set[str] = set()
    for one in value:
        if wrong := rule(one):
            return f"{one!r} is none: {wrong}"
        if one in seen:
            return f"each name once, and {one!r} is there twice"
        seen.add(one)
    return ""


def _takes_of(made: Any) -> tuple[tuple[str, Take], ...]:
    cls: Any = type(made)
    return _takes(cls)


@cache
def _takes(cls: Any) -> tuple[tuple[str, Take], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, take_for(hints[field.name])) for field in fields(cls))
