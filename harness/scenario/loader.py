"""Finding scenarios: our own by name, a user's by file, by ``module:NAME`` or by entry point.

Our scenarios are loaded from the folder beside this distribution's `harness` under a module name of
their own, so a folder `scenarios/` in a user's project neither shadows them nor is shadowed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from harness.declared import short
from harness.errors import UsageError
from harness.nearest import did_you_mean, nearest
from harness.scenario.scenario import Scenario
from harness.user_code import blaming

ENTRY_POINT_GROUP = "tallystick.scenarios"
_OWN_FOLDER = Path(__file__).resolve().parents[2] / "scenarios"
_OWN_PREFIX = "tallystick_scenarios"

FILES_LOOKED_AT_MAX = 1_000
"""So many files of a folder are looked at for the one that may have been meant."""


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
        yield _from_entry_point(point)


def find(place: str) -> LoadedScenario:
    """Return the scenario that `place` names.

    Args:
        place: A name ("hotkey_bucketing" or "hotkey-bucketing"), a file ("./late_login.py") or
            "package.module:NAME".

    Raises:
        UsageError: There is none; says which is nearest.
    """
    if place.endswith(".py"):
        return _from_file(_file(place).resolve(), place, _user_module(Path(place)))
    if ":" in place:
        return _from_module(place)
    wanted = place.replace("-", "_")
    if wanted in own_names():
        return _from_file(_OWN_FOLDER / f"{wanted}.py", "built-in", f"{_OWN_PREFIX}.{wanted}")
    others = {
        point.name.replace("-", "_"): point for point in entry_points(group=ENTRY_POINT_GROUP)
    }
    if wanted in others:
        return _from_entry_point(others[wanted])
    known = [*own_names(), *sorted(others)]
    if not wanted:
        raise UsageError("an empty name of a scenario (`tallystick list` shows all)")
    hint = _file_meant(place)
    # No name has a dot or a slash: this is a path, or a module whose NAME was forgotten.
    if "/" in place or "." in place or (Path(place).exists() and not hint):
        allowed = "a Python file that ends in .py, or package.module:NAME"
        raise UsageError(f"no scenario file at {place!r}{hint}; name {allowed}")
    hint = hint or did_you_mean(wanted, known)
    raise UsageError(f"no scenario {place!r}{hint} (`tallystick list` shows all)")


def load_file(place: str) -> None:
    """Run a Python file for what it registers: checks and faults of one's own.

    Raises:
        UsageError: There is no such file, or it raises; says where.
    """
    path = _file(place)
    _execute(path.resolve(), _user_module(path))


def _file(place: str) -> Path:
    path = Path(place)
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"{place!r} is a folder{_file_meant(place)}")
    raise UsageError(f"no file {place!r}{_file_meant(place)}")


def _file_meant(place: str) -> str:
    """Return "; did you mean 'X'?" with a Python file that lies near what was named."""
    path = Path(place)
    beside = path if path.is_dir() else path.parent
    try:
        files = sorted(beside.glob("*.py"))[:FILES_LOOKED_AT_MAX]
    except OSError:
        return ""
    here = {file.stem: file for file in files if not file.name.startswith("_")}
    stem = path.stem.replace("-", "_")
    near = here.get(stem)
    if near is None and path.is_dir():
        near = next(iter(here.values())) if len(here) == 1 else None
    elif near is None and (path.suffix or "/" in place):
        near = here.get(nearest(stem, here))
    if near is None:
        return ""
    shown = str(near) if near.is_absolute() else f"./{near}"
    return f"; did you mean {shown!r}?"


def _user_module(path: Path) -> str:
    return f"tallystick_user_{path.stem}"


def _from_file(path: Path, source: str, module_name: str) -> LoadedScenario:
    module = _execute(path, module_name)
    return _check(getattr(module, "SCENARIO", None), source, _doc(module), str(path), vars(module))


def _execute(path: Path, module_name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file; its name ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name while it is being executed.
    sys.modules[module_name] = module
    try:
        with blaming(file=str(path)):
            spec.loader.exec_module(module)
    except UsageError:
        del sys.modules[module_name]
        raise
    return module


def _from_module(place: str) -> LoadedScenario:
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{place!r}: write package.module:NAME")
    with blaming(place):
        module = importlib.import_module(module_name)
    found = getattr(module, attribute, None)
    return _check(found, place, _doc(module), module.__file__, vars(module))


def _from_entry_point(point: EntryPoint) -> LoadedScenario:
    source = f"entry point {point.value}"
    with blaming(source):
        found = point.load()
    return _check(found, source, "")


def _check(
    found: object,
    source: str,
    doc: str,
    file: str | None = None,
    beside: Mapping[str, object] | None = None,
) -> LoadedScenario:
    if not isinstance(found, Scenario):
        named = source.partition(":")[2] if ":" in source else "SCENARIO"
        is_what = "" if found is None else f"; {named} is {_what(found)}"
        others = [name for name, one in (beside or {}).items() if isinstance(one, Scenario)]
        hint = f"; did you mean {others[0]!r}?" if others else ""
        raise UsageError(f"{source}: it must define {named} = Scenario(...){is_what}{hint}")
    content = Path(file).read_bytes() if file else b""
    digest = hashlib.sha256(content).hexdigest() if content else ""
    return LoadedScenario(scenario=found, source=source, doc=doc, source_sha256=digest)


def _what(found: object) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else short(found)


def _doc(module: ModuleType) -> str:
    return (module.__doc__ or "").strip()
