"""Finding systems: our own by name, others by ``module:NAME`` or by entry point."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path

from harness.errors import DefinitionError, UsageError
from harness.nearest import did_you_mean
from harness.systems.places import read_options
from harness.systems.port import Configurable, System
from harness.user_code import blaming

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


_NO_ADAPTER = "no adapter for it comes with Tallystick (`tallystick new system NAME` begins one)"

ALSO_CALLED = {
    "redis": "valkey",
    "redis-streams": "valkey",
    "keydb": "valkey",
    "dragonfly": "valkey",
    "jetstream": "nats",
    "nats-server": "nats",
    "redpanda": "kafka",
    "core": "reference",
    "tallystick": "reference",
    **dict.fromkeys(
        ("rabbitmq", "rabbit", "amqp", "pulsar", "activemq", "artemis", "mqtt", "mosquitto",
         "emqx", "sqs", "pubsub", "zeromq", "nsq", "rocketmq"),
        _NO_ADAPTER,
    ),
}  # fmt: skip
"""What people ask for by another name: the system that speaks its protocol, or a sentence."""


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
        raise UsageError(
            f"system {name!r} takes no options, and no endpoint; say what runs there, as in"
            " --system nats"
        )
    chosen = read_options(name, query)
    for key in chosen:
        if key == "endpoint" and key not in system.options:
            raise UsageError(
                f"system {name!r} takes no endpoint: every run starts it; say what runs there, as"
                " in --system nats"
            )
        if key not in system.options:
            allowed = ", ".join(sorted(system.options))
            hint = did_you_mean(key, system.options) or "."
            raise UsageError(f"system {name!r} has no option {key!r}{hint} It has {allowed}")
    return system.configure(chosen)


def _find(place: str) -> System:
    others = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    where = OWN.get(place) or others.get(place) or place
    if ":" not in where:
        known = ", ".join(names())
        raise UsageError(f"no system {place!r}{_meant(place)} (module:NAME, or one of {known})")
    module_name, _, attribute = where.partition(":")
    try:
        with blaming(f"system {place!r}"):
            module = importlib.import_module(module_name)
    except DefinitionError as error:
        lacks = isinstance(error.__cause__, ModuleNotFoundError) and place in EXTRAS
        missing = f"; pip install 'tallystick[{place}]' brings it" if lacks else ""
        raise DefinitionError(f"{error}{missing}") from error
    if not hasattr(module, attribute):
        hint = _attribute_meant(module_name, attribute)
        raise UsageError(f"system {place!r}: {module_name} has no {attribute!r}{hint}")
    found = getattr(module, attribute)
    if not _is_system(found):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise UsageError(f"system {place!r}: a {kind}; it must be an object that is a System")
    system: System = found
    return system


def _meant(place: str) -> str:
    """Return "; did you mean 'X'?" with a system, or a system of a module in the folder."""
    if place.lower() in ALSO_CALLED:
        called = ALSO_CALLED[place.lower()]
        return f"; {called}" if " " in called else f"; did you mean {called!r}?"
    stem = Path(place).stem.replace("-", "_") if place.endswith(".py") else place
    if stem and Path(f"{stem.replace('.', '/')}.py").is_file():
        attributes = _systems_in(Path(f"{stem.replace('.', '/')}.py"))
        return f"; did you mean '{stem}:{attributes[0] if attributes else 'SYSTEM'}'?"
    return did_you_mean(place, names())


def _systems_in(file: Path) -> list[str]:
    """Return the names in capitals that a file assigns to, "SYSTEM" first; it is not run."""
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    targets = [one for node in tree.body if isinstance(node, ast.Assign) for one in node.targets]
    found = [one.id for one in targets if isinstance(one, ast.Name) and one.id.isupper()]
    return sorted(found, key=lambda name: (name != "SYSTEM", "SYSTEM" not in name))


def _attribute_meant(module_name: str, attribute: str) -> str:
    known = [name for name in vars(sys.modules[module_name]) if not name.startswith("_")]
    systems = [name for name in known if _is_system(getattr(sys.modules[module_name], name))]
    return did_you_mean(attribute, systems or known) or (
        f"; did you mean {systems[0]!r}?" if systems else ""
    )


def _is_system(found: object) -> bool:
    return not isinstance(found, type) and hasattr(found, "deploy")
