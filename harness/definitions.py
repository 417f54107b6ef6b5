"""What scenarios are made of checks itself when it is made: every field, by its declared type.

A dataclass of the language calls `check_fields` in its `__post_init__`. The types come from its own
annotations, so a new field is checked without a word here; what a type cannot say (a number's least
value, names that are not empty) is said by a rule per field. A list is taken for a tuple, and a
list, tuple or set for a frozenset, since nobody means anything else by it; nothing else is
converted. Pure.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import re
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from reprlib import Repr
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from harness.errors import DefinitionError
from harness.user_code import made_at

NUMBER_MAX = 10**12
"""No number of the language is larger, whatever it is of; infinity is refused with it."""

NAME_BYTES_MAX = 128
"""Longest name of an inbox, a user or a device, in UTF-8, as on the wire."""

Rule: TypeAlias = Callable[[Any], str]
"""Says what is allowed of a value that is not, and "" of one that is."""

Take: TypeAlias = Callable[[Any], Any]
"""Returns a value as its field takes it, or raises `Unfit`."""

_WORD = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_REGION = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


class Unfit(Exception):
    """A value is not of its declared type; says what is, and perhaps what was meant."""

    def __init__(self, allowed: str, meant: str = "") -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.meant = meant


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


def short(value: object) -> str:
    """Return the value as it is written in Python, cut if it is long."""
    try:
        return _SHORT.repr(value)
    except Exception:  # An integer of too many digits, or a `__repr__` that raises.
        return f"<{type(value).__name__}>"


def check_type(value: object, declared: Any, called: str) -> Any:
    """Return an argument of a function of the language as it is taken.

    Raises:
        DefinitionError: It is not of its declared type.
    """
    try:
        return _take(declared)(value)
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


# Types: what annotations say.


def _takes_of(made: Any) -> tuple[tuple[str, Take], ...]:
    cls: Any = type(made)
    return _takes(cls)


@cache
def _takes(cls: Any) -> tuple[tuple[str, Take], ...]:
    hints = get_type_hints(cls)
    return tuple((field.name, _take(hints[field.name])) for field in fields(cls))


@cache
def _take(declared: Any) -> Take:
    """Return what takes values of a type."""
    origin, inner = get_origin(declared), get_args(declared)
    if declared is Any:
        return lambda value: value
    if declared in _PLAIN:
        return _PLAIN[declared]
    if origin in (Union, types.UnionType):
        return _one_of_types(inner)
    if origin is Literal:
        return _literal(inner)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return _tuple_of(_take(inner[0]), _called(inner[0]))
        return _fixed(tuple(map(_take, inner)), " and ".join(map(_called, inner)))
    if origin is frozenset:
        return _frozenset_of(_take(inner[0]), _called(inner[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_of(_take(inner[0]), _take(inner[1]), " to ".join(map(_called, inner)))
    if origin is collections.abc.Callable:
        return _function
    if getattr(declared, "_is_protocol", False):
        return _like(declared)
    return _instance(declared)


def _called(declared: Any) -> str:
    """Return what values of a type are called."""
    if declared in _IN_WORDS:
        return _IN_WORDS[declared]
    if get_origin(declared) is collections.abc.Callable:
        return "a function"
    if get_origin(declared) in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_called, get_args(declared))))
    if get_origin(declared) is tuple:
        return f"a tuple of {' and '.join(_called(one) for one in get_args(declared))}"
    name_ = str(getattr(declared, "__name__", declared))
    return f"{'an' if name_[:1] in 'AEIOU' else 'a'} {name_}"


_IN_WORDS = {
    int: "a whole number", float: "a finite number", str: "a text", bool: "True or False",
    type(None): "None", Any: "anything",
}  # fmt: skip


def _number(value: object, kind: type[int] | type[float], allowed: str) -> Any:
    # True is an int to Python, and a mistake to everybody else.
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else int):
        raise Unfit(allowed, _number_meant(value, kind))
    # Written so that NaN is refused too.
    if not abs(value) <= NUMBER_MAX:
        large = isinstance(value, int) or math.isfinite(value)
        raise Unfit(f"{allowed} up to {NUMBER_MAX:g}" if large else allowed)
    return value


def _number_meant(value: object, kind: type[int] | type[float]) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        return ""
    try:
        meant = kind(value)
    except (ValueError, OverflowError):
        return ""
    exact = isinstance(value, str) or meant == value
    return str(meant) if exact and math.isfinite(meant) and abs(meant) <= NUMBER_MAX else ""


def _int(value: object) -> Any:
    return _number(value, int, _IN_WORDS[int])


def _float(value: object) -> Any:
    return _number(value, float, _IN_WORDS[float])


def _str(value: object) -> Any:
    if not isinstance(value, str):
        lone = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else None
        raise Unfit(_IN_WORDS[str], _quoted(lone) if isinstance(lone, str) else "")
    return value


def _bool(value: object) -> Any:
    if not isinstance(value, bool):
        raise Unfit(_IN_WORDS[bool])
    return value


def _none(value: object) -> Any:
    if value is not None:
        raise Unfit("None")
    return value


_PLAIN: Mapping[Any, Take] = {int: _int, float: _float, str: _str, bool: _bool, type(None): _none}


def _quoted(value: object) -> str:
    plain = isinstance(value, str) and value.isprintable() and not set(value) & {'"', "\\"}
    return f'"{value}"' if plain and len(str(value)) <= _SHORT.maxstring else short(value)


def _tuple_of(take: Take, called: str) -> Take:
    def whole(value: object) -> Any:
        allowed = f"a tuple, of which each is {called}"
        if not isinstance(value, (tuple, list)):
            raise Unfit(allowed, _tuple_meant(value, take))
        # Most are right as they are, and long ones are schedules.
        taken = []
        for number, one in enumerate(value):
            try:
                taken.append(take(one))
            except Unfit as unfit:
                meant = unfit.meant
                if isinstance(one, tuple) and one and _fits(one[0], take):
                    meant = f"*{short(one)}, with a star before what is several already"
                what = f"{allowed}; number {number + 1} is {short(one)}"
                raise Unfit(what, meant) from None
        same = type(value) is tuple and all(a is b for a, b in zip(value, taken, strict=True))
        return value if same else tuple(taken)

    return whole


def _tuple_meant(value: object, take: Take) -> str:
    if _fits(value, take):
        return f"({_quoted(value)},)"
    if inspect.isgenerator(value):
        return "tuple(…)"
    return f"tuple({short(value)})" if isinstance(value, (set, frozenset, dict)) else ""


def _fits(value: object, take: Take) -> bool:
    try:
        take(value)
    except Unfit:
        return False
    return True


def _fixed(takes: tuple[Take, ...], called: str) -> Take:
    def whole(value: object) -> Any:
        if not isinstance(value, (tuple, list)) or len(value) != len(takes):
            raise Unfit(f"a tuple of {called}")
        return tuple(take(one) for take, one in zip(takes, value, strict=True))

    return whole


def _frozenset_of(take: Take, called: str) -> Take:
    def whole(value: object) -> Any:
        if not isinstance(value, (frozenset, set, tuple, list)):
            meant = f"frozenset({{{short(value)}}})" if _fits(value, take) else ""
            raise Unfit(f"a set, of which each is {called}", meant)
        taken = frozenset(take(one) for one in value)
        return value if isinstance(value, frozenset) else taken

    return whole


def _mapping_of(key: Take, item: Take, called: str) -> Take:
    def whole(value: object) -> Any:
        if not isinstance(value, Mapping):
            raise Unfit(f"a mapping of {called}")
        try:
            # A copy: the definition stays what it is when the user's own dict changes.
            return {key(one): item(other) for one, other in value.items()}
        except Unfit as unfit:
            raise Unfit(f"a mapping of {called}", unfit.meant) from None

    return whole


def _literal(allowed: tuple[Any, ...]) -> Take:
    def whole(value: object) -> Any:
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise Unfit(f"one of {', '.join(map(str, allowed))}")
        return value

    return whole


def _function(value: object) -> Any:
    # A class is callable too, and what it makes is not what was asked for.
    if isinstance(value, type) or not callable(value):
        raise Unfit("a function")
    return value


def _like(protocol: Any) -> Take:
    """Return what takes an object that has every public member of a protocol."""
    members = [
        one for one in dict.fromkeys((*vars(protocol), *protocol.__annotations__))
        if not one.startswith("_")
    ]  # fmt: skip
    called = f"a {protocol.__name__}"

    @cache
    def lacks(kind: Any) -> str:
        # Fields of a dataclass with slots, properties and methods are all seen at the class, but
        # fields without a default and without slots only in its annotations.
        known = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
        return ", ".join(one for one in members if one not in known)

    def whole(value: object) -> Any:
        if isinstance(value, type):
            raise Unfit(f"{called}, not a class", f"{value.__name__}(…)" * (not lacks(value)))
        kind: Any = type(value)
        if lacking := lacks(kind):
            hint = "; its class needs the decorator @fault" if lacking == "kind" else ""
            plain = is_dataclass(value) or lacking != ", ".join(members)
            raise Unfit(f"{called}{f', and it lacks {lacking}{hint}' if plain else ''}")
        return value

    return whole


def _instance(kind: Any) -> Take:
    called = _called(kind)

    def whole(value: object) -> Any:
        if isinstance(value, kind):
            return value
        if isinstance(value, type) and issubclass(value, kind):
            raise Unfit(f"{called}, not the class", f"{value.__name__}(…)")
        raise Unfit(called, _member_meant(value, kind))

    return whole


def _member_meant(value: object, kind: Any) -> str:
    if not (issubclass(kind, Enum) and isinstance(value, str)):
        return ""
    near = [one for one in kind if value in (one.value, one.name)]
    return f"{kind.__name__}.{near[0].name}" if near else ""


def _one_of_types(kinds: tuple[Any, ...]) -> Take:
    takes = tuple(map(_take, kinds))
    called = " or ".join(dict.fromkeys(map(_called, kinds)))

    def whole(value: object) -> Any:
        meant = ""
        for take in takes:
            try:
                return take(value)
            except Unfit as unfit:
                meant = meant or unfit.meant
        raise Unfit(called, meant)

    return whole
