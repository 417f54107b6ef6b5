"""Every fault there is: found by a walk over this package and by entry points of others."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

import harness.faults
from harness.definitions import refuse
from harness.errors import DefinitionError, UsageError
from harness.faults.fault import Fault
from harness.faults.fields import check_types
from harness.faults.schedule import Planned, at
from harness.nearest import did_you_mean

ENTRY_POINTS = "tallystick.faults"
"""Entry-point group in which other packages name modules of faults."""

FaultType = TypeVar("FaultType", bound=type)

_KINDS: dict[str, type] = {}


def fault(kind: str) -> Callable[[FaultType], FaultType]:
    """Register a frozen dataclass as the fault `kind`, which becomes its attribute.

    From then on none of it is made whose fields do not hold what they are declared to.

    Raises:
        TypeError: It is no dataclass, or another class has that kind.
    """

    def register(cls: FaultType) -> FaultType:
        if not is_dataclass(cls):
            raise TypeError(f"fault {kind!r}: {cls.__name__} is no dataclass")
        known = _KINDS.get(kind)
        # A module that is loaded again under the same name brings the same class again.
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise TypeError(f"fault {kind!r} is {known.__qualname__} already")
        cast("Any", cls).kind = kind
        if known is not cls:
            _check_when_made(cls)
        _KINDS[kind] = cls
        return cls

    return register


def _check_when_made(cls: Any) -> None:
    make_it = cls.__init__

    @wraps(make_it)
    def checked(self: Any, *arguments: Any, **named: Any) -> None:
        try:
            make_it(self, *arguments, **named)
        except Exception as error:
            # What a fault's own checks say of a wrong type helps nobody: the type comes first.
            if all(hasattr(self, field.name) for field in fields(cls)):
                check_types(self)
            if isinstance(error, UsageError) and not isinstance(error, DefinitionError):
                raise refuse(f"{cls.__name__}: {error}") from None
            raise
        check_types(self)

    cls.__init__ = checked


@cache
def _load_all() -> None:
    for module in pkgutil.iter_modules(harness.faults.__path__):
        importlib.import_module(f"{harness.faults.__name__}.{module.name}")
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()


def faults() -> Mapping[str, type]:
    """Return every fault's class by its kind."""
    _load_all()
    return dict(sorted(_KINDS.items()))


def make(kind: str, parameters: Mapping[str, Any]) -> Fault:
    """Make a fault from its kind and parameters.

    Raises:
        UsageError: There is no such fault or it has other parameters.
    """
    known = faults()
    if kind not in known:
        hint = did_you_mean(str(kind), known)
        raise UsageError(f"no fault {kind!r}{hint}; there are: {', '.join(known)}")
    try:
        return cast("Fault", known[kind](**parameters))
    except (TypeError, ValueError) as error:
        raise UsageError(f"fault {kind!r}: {error}") from None


def from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Planned, ...]:
    """Read back what `harness.faults.schedule.to_json` wrote.

    Raises:
        UsageError: It names a fault or parameter that is not known, or lacks a field.
    """
    try:
        return tuple(
            at(
                item["at_s"],
                make(item["kind"], item["parameters"]),
                on=item["on"],
                optional=item.get("optional", False),
            )
            for item in data
        )
    except KeyError as error:
        raise UsageError(f"a schedule without {error}") from None
    except TypeError as error:
        raise UsageError(f"a schedule that is none: {error}") from None
