"""Values as they are declared by type hints, and what was meant by one that is not. Pure."""

from __future__ import annotations

import collections.abc
import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from reprlib import Repr
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

NUMBER_MAX = 10**12
"""No number of the language is larger, whatever it is of; infinity is refused with it."""

Take: TypeAlias = Callable[[Any], Any]
"""Returns a value as its field takes it, or raises `Unfit`."""

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


class Unfit(Exception):
    """A value is not of its declared type; says what is, and perhaps what was meant."""

    def __init__(self, allowed: str, meant: str = "") -> None:
        super().__init__(allowed)
        self.allowed = allowed
        self.meant = meant


def short(value: object) -> str:
    """Return the value as it is written in Python, cut if it is long."""
    try:
        return _SHORT.repr(value)
    except Exception:  # An integer of too many digits, or a `__repr__` that raises.
        return f"<{type(value).__name__}>"


@cache
def take_for(declared: Any) -> Take:
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
            return _tuple_of(take_for(inner[0]), _called(inner[0]))
        return _fixed(tuple(map(take_for, inner)), " and ".join(map(_called, inner)))
    if origin is frozenset:
        return _frozenset_of(take_for(inner[0]), _called(inner[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_of(take_for(inner[0]), take_for(inner[1]), " to ".join(map(_called, inner)))
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
        allowed = f"a tuple in which each item is {called}"
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
            raise Unfit(f"a set in which each item is {called}", meant)
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
    takes = tuple(map(take_for, kinds))
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
