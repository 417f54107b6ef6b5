"""Finding scenarios: our own by name, a user's by file, by ``module:NAME`` or by entry point.

Our scenarios are loaded from the folder beside this distribution's `harness` under a module name of
their own, so a folder `scenarios/` in a user's project neither shadows them nor is shadowed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from harness.errors import UsageError
from harness.nearest import did_you_mean
from harness.scenario.scenario import Scenario

ENTRY_POINT_GROUP = "tallystick.scenarios"
_OWN_FOLDER = Path(__file__).resolve().parents[2] / "scenarios"
_OWN_PREFIX = "tallystick_scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedScenario:
    """A scenario and the place it came from ("built-in", a file, a module or an entry point).

    `source_sha256` is of the file it stands in, "" where there is none.
    """

    scenario: Scenario
    source: str
    doc: str
    source_sha256: str = ""


def own_names() -> list[str]:
    """Return the names of the scenarios that come with Tallystick, sorted."""
    return sorted(path.stem for path in _OWN_FOLDER.glob("*.py") if not path.name.startswith("_"))


def load_all() -> Iterator[LoadedScenario]:
    """Yield our own scenarios and those of entry points, by name."""
    for name in own_names():
        yield _from_file(_OWN_FOLDER / f"{name}.py", "built-in", f"{_OWN_PREFIX}.{name}")
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name):
        yield _check(point.load(), f"entry point {point.value}", "")


def find(place: str) -> LoadedScenario:
    """Return the scenario that `place` names.

    Args:
        place: A name ("hotkey_bucketing" or "hotkey-bucketing"), a file ("./late_login.py") or
            "package.module:NAME".

    Raises:
        UsageError: There is none; says which is nearest.
    """
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise UsageError(f"no file {place!r} to take a scenario from")
        return _from_file(path.resolve(), str(path), _user_module(path))
    if ":" in place:
        return _from_module(place)
    wanted = place.replace("-", "_")
    if wanted in own_names():
        return _from_file(_OWN_FOLDER / f"{wanted}.py", "built-in", f"{_OWN_PREFIX}.{wanted}")
    others = {
        point.name.replace("-", "_"): point for point in entry_points(group=ENTRY_POINT_GROUP)
    }
    if wanted in others:
        return _check(others[wanted].load(), f"entry point {others[wanted].value}", "")
    known = [*own_names(), *sorted(others)]
    if not wanted:
        raise UsageError("an empty name of a scenario (`tallystick list` shows all)")
    # No name has a dot or a slash: this is a path, or a module whose NAME was forgotten.
    if "/" in place or "." in place or Path(place).exists():
        allowed = "a Python file that ends in .py, or package.module:NAME"
        raise UsageError(f"no scenario file at {place!r}: name {allowed}")
    hint = did_you_mean(wanted, known)
    raise UsageError(f"no scenario {place!r}{hint} (`tallystick list` shows all)")


def load_file(place: str) -> None:
    """Run a Python file for what it registers: checks and faults of one's own.

    Raises:
        UsageError: There is no such file, or it raises.
    """
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"no file {place!r} to load")
    _execute(path.resolve(), place, _user_module(path))


def _user_module(path: Path) -> str:
    return f"tallystick_user_{path.stem}"


def _from_file(path: Path, source: str, module_name: str) -> LoadedScenario:
    module = _execute(path, source, module_name)
    return _check(getattr(module, "SCENARIO", None), source, _doc(module), str(path))


def _execute(path: Path, source: str, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{source}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name while it is being executed.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module_name]
        raise UsageError(f"{source}: {type(error).__name__}: {error}") from error
    return module


def _from_module(place: str) -> LoadedScenario:
    module_name, _, attribute = place.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{place}: {type(error).__name__}: {error}") from error
    return _check(getattr(module, attribute, None), place, _doc(module), module.__file__)


def _check(found: object, source: str, doc: str, file: str | None = None) -> LoadedScenario:
    if not isinstance(found, Scenario):
        raise UsageError(f"{source}: it must define SCENARIO = Scenario(...)")
    content = Path(file).read_bytes() if file else b""
    digest = hashlib.sha256(content).hexdigest() if content else ""
    return LoadedScenario(scenario=found, source=source, doc=doc, source_sha256=digest)


def _doc(module: ModuleType) -> str:
    return (module.__doc__ or "").strip()
