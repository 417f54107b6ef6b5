"""Every single value of a result or a suite, and another one that may stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from harness.report.result import Diagnosis, Latency, LoadLatency, Status, Trouble, Witness
from harness.run.bound import zero_of_n

Path: TypeAlias = tuple[str | int, ...]

_WORDS = (
    "PASS",
    "UNKNOWN",
    "FAIL",
    "MET",
    "MISSED",
    "tallystick.result/1.4",
    "tallystick.suite/1.1",
)
"""What may stand where only some words may."""

_LATENCY = Latency(p50=1.0, p90=1.0, p99=1.0, p999=1.0, max=1.0, count=1)
_WHOLES = (
    Diagnosis(text="All is well.", check="A1", messages=1),
    zero_of_n(messages=9, commits=0, kills=0),
    _LATENCY,
    LoadLatency(label="quiet"),
    Trouble(status=Status.UNKNOWN, reason_code="stuck", reason="It did not move."),
    Witness(summary="It is gone."),
)
"""What may stand where there is nothing."""


def leaves(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the place of each value that holds no other.

    Of a list the first two are looked into, the last, and each that holds what none before it does.
    """
    match tree:
        case dict() if tree:
            for key, value in tree.items():
                yield from leaves(value, (*path, key))
        case list() if tree:
            for at in _unlike(tree):
                yield from leaves(tree[at], (*path, at))
        case _:
            yield path


def _unlike(items: list[Any]) -> list[int]:
    known: set[str] = set()
    chosen = []
    for at, item in enumerate(items):
        fresh = {str([key for key in path if isinstance(key, str)]) for path in leaves(item)}
        if at < 2 or at == len(items) - 1 or not fresh <= known:
            chosen.append(at)
        known |= fresh
    return chosen


def containers(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the place of each list that holds something."""
    if isinstance(tree, dict | list):
        pairs = tree.items() if isinstance(tree, dict) else list(enumerate(tree))[:2]
        if isinstance(tree, list) and tree:
            yield path
        for key, value in pairs:
            yield from containers(value, (*path, key))


def at(tree: Any, path: Path) -> Any:
    """Return the value at a place."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Any, path: Path, value: Any) -> Any:
    """Return a tree with another value at a place."""
    if not path:
        return value
    copy: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = put(tree[path[0]], path[1:], value)
    return copy


def others(value: Any) -> Iterator[Any]:
    """Yield what may stand for a value, the likeliest first."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value - 1)
        case str():
            yield from (f"{value}x", *(word for word in _WORDS if word != value))
            yield "".join("1" if letter == "0" else "0" for letter in value)
        case list():
            yield from (["x"], [1], [{"x": 1}], *([plain(one)] for one in _WHOLES))
        case dict():
            yield from ({"x": 1}, {"x": "x"})
        case None:
            yield from (1, 1.5, "x", *map(plain, _WHOLES))


def changed(tree: Any, path: Path, is_valid: Callable[[Any], bool]) -> Any:
    """Return a tree with another value at a place.

    Raises:
        LookupError: None that was tried may stand there.
    """
    for value in others(at(tree, path)):
        made = put(tree, path, value)
        if is_valid(made):
            return made
    raise LookupError(f"nothing else may stand at {path}; teach `others` what may")


def schema_paths(kind: type[Any]) -> set[str]:
    """Return the name of every value that a type may hold: "checks[].witnesses[].summary"."""
    return set(_names(inspect.type_info(kind), ""))


def _names(info: Any, name: str) -> Iterator[str]:
    match info:
        case inspect.StructType():
            for field in info.fields:
                dot = "." if name else ""
                yield from _names(field.type, f"{name}{dot}{field.encode_name}")
        case inspect.ListType():
            yield from _names(info.item_type, f"{name}[]")
        case inspect.DictType():
            yield f"{name}{{}}"
        case inspect.UnionType():
            held = [one for one in info.types if not isinstance(one, inspect.NoneType)]
            if len(held) == 1:
                yield from _names(held[0], name)
            else:
                yield name
        case _:
            yield name


def schema_path(kind: type[Any], path: Path) -> str:
    """Return the name that `schema_paths` has for a place; of an empty list that of the list."""
    info, name = inspect.type_info(kind), ""
    for key in path:
        if isinstance(info, inspect.UnionType):
            info = next(one for one in info.types if not isinstance(one, inspect.NoneType))
        if isinstance(info, inspect.StructType):
            field = next(one for one in info.fields if one.encode_name == key)
            name, info = f"{name}{'.' if name else ''}{key}", field.type
        elif isinstance(info, inspect.ListType):
            name, info = f"{name}[]", info.item_type
        else:
            return f"{name}{{}}"
    return f"{name}{{}}" if isinstance(info, inspect.DictType) else name


def plain(value: Any) -> Any:
    """Return a result or suite as plain values."""
    return msgspec.to_builtins(value)
