"""Finding systems: our own by name, others by ``module:NAME`` or by entry point."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from harness.errors import UsageError
from harness.nearest import did_you_mean
from harness.systems.places import read_options
from harness.systems.port import Configurable, System

ENTRY_POINT_GROUP = "tallystick.systems"

OWN = {
    "kafka": "harness.systems.kafka.adapter:SYSTEM",
    "nats": "harness.systems.nats.adapter:SYSTEM",
    "valkey": "harness.systems.valkey.adapter:SYSTEM",
    "reference": "harness.systems.reference.adapter:SYSTEM",
}
"""Places of our own systems; imported only when asked for, so each may need extra packages."""

EXTRAS = frozenset({"nats", "valkey", "kafka"})
"""Those whose packages come with the extra of the same name."""


def names() -> list[str]:
    """Return the names of the systems that can be asked for, sorted."""
    return sorted({*OWN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def load_system(place: str) -> System:
    """Return the system called or placed so, with what stands behind a ``?`` as its settings.

    The settings are part of the place, so that load processes and repeated runs have the same.

    Raises:
        UsageError: There is none, its module cannot be imported, what is there is no system, or it
            does not take these settings.
    """
    name, _, query = place.partition("?")
    found = _find(name)
    return _configured(found, name, query) if query else found


def _configured(system: System, name: str, query: str) -> System:
    if not isinstance(system, Configurable):
        raise UsageError(f"system {name!r} takes no options, and no endpoint")
    chosen = read_options(name, query)
    for key in chosen:
        if key not in system.options:
            allowed = ", ".join(sorted(system.options))
            raise UsageError(f"system {name!r} has no option {key!r}; it has {allowed}")
    return system.configure(chosen)


def _find(place: str) -> System:
    others = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    where = OWN.get(place) or others.get(place) or place
    if ":" not in where:
        known = ", ".join(names())
        hint = did_you_mean(place, names())
        raise UsageError(f"no system {place!r}{hint} (module:NAME, or one of {known})")
    module_name, _, attribute = where.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        missing = f"; pip install 'tallystick[{place}]' brings it" if place in EXTRAS else ""
        raise UsageError(f"system {place!r}: {error}{missing}") from error
    except (ImportError, AttributeError) as error:
        raise UsageError(f"system {place!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"system {place!r}: {type(error).__name__}: {error}") from error
    if isinstance(found, type) or not hasattr(found, "deploy"):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise UsageError(f"system {place!r}: a {kind}; it must be an object that is a System")
    system: System = found
    return system
