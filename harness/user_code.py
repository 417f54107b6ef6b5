"""Where in a user's own files something was made, or went wrong. Pure.

Whoever writes a scenario, a check or a system looks for a mistake in a file of his own, so messages
begin with its name and line and not with a traceback of ours.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType

from harness.errors import DefinitionError, UsageError
from harness.nearest import did_you_mean

_OURS = ("harness", "tallystick", "reference")
"""Packages whose frames are never a user's."""

_LANGUAGE = ("harness.scenario.", "harness.faults.", "harness.systems.topology")
"""Modules through which what a user makes comes: the next frame outside says whose it is."""

_MECHANISM = (
    "harness.definitions",
    "harness.declared",
    __name__,
    "dataclasses",
    "functools",
    "contextlib",
)

_ROOT = str(Path(__file__).resolve().parents[1])
_STDLIB = sysconfig.get_path("stdlib")
_INSTALLED = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})

SOURCE_COLUMNS_MAX = 120
"""So much of a line of source is quoted."""

TEXT_COLUMNS_MAX = 500
"""So much of an exception's own text is quoted."""

_UNKNOWN_FIELD = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")


def made_at() -> str:
    """Return "FILE:LINE" of the user's code that is making something now, "" if it is ours."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        # What `dataclasses` generates stands in no file, under the name of the class's module.
        generated = frame.f_code.co_name == "__init__" and frame.f_code.co_filename == "<string>"
        if not (generated or name in _MECHANISM or name.startswith(_LANGUAGE)):
            ours = name.partition(".")[0] in _OURS
            return "" if ours else shown(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def shown(file: str, line: int) -> str:
    """Return "FILE:LINE", the file as it is called from the current folder if it lies there."""
    try:
        near = os.path.relpath(file)
    except (ValueError, OSError):  # Another drive, or a current folder that is gone.
        near = file
    return f"{file if near.startswith(os.pardir) else near}:{line}"


def where(function: object) -> str:
    """Return "FILE:LINE" of a function's definition, "" of what is no plain function."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return shown(code.co_filename, code.co_firstlineno) if code is not None else ""


def told(error: BaseException, file: str = "") -> str:
    """Return one line on what a user's code raised: file and line, the error, the line of source.

    Of several files on the way it is the innermost that is neither ours nor a library's.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, DefinitionError):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place, source = shown(error.filename, error.lineno), (error.text or "").strip()
        return _line(place, f"{type(error).__name__}: {error.msg}", source)
    frame, line = _blamed(error)
    kind = "" if isinstance(error, UsageError) else f"{type(error).__name__}: "
    words = f"{kind}{_text(error)}" if _text(error) else type(error).__name__
    if frame is None:
        return f"{file}: {words}" if file else words
    source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
    place = shown(frame.f_code.co_filename, line)
    return _line(place, f"{words}{_unknown_field(error, frame)}", source)


@contextmanager
def blaming(what: str = "", *, file: str = "") -> Iterator[None]:
    """Turn what a user's code raises inside into a `DefinitionError` that says where.

    An error of the language keeps its text, for it says that itself; a signal stays a signal.

    Args:
        what: Stands before the place, where a place alone does not say what was being done.
        file: Stands where no place is known.
    """
    try:
        yield
    except DefinitionError:
        raise
    except (Exception, SystemExit) as error:
        before = f"{what}: " if what else ""
        raise DefinitionError(f"{before}{told(error, file)}") from error


def _line(place: str, words: str, source: str) -> str:
    quoted = f", in `{source[:SOURCE_COLUMNS_MAX]}`" if source else ""
    return f"{place}: {words}{quoted}"


def _text(error: BaseException) -> str:
    try:
        words = " ".join(str(error).split())
    except Exception:
        return ""
    return words[:TEXT_COLUMNS_MAX]


def _blamed(error: BaseException) -> tuple[FrameType | None, int]:
    """Return the innermost frame of a user, else of a library he loads, with its line."""
    seen: list[tuple[FrameType | None, int]] = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not _is_internal(frame.f_code.co_filename)
    ]
    own = [one for one in seen if one[0] and not _is_installed(one[0].f_code.co_filename)]
    return (own or seen or [(None, 0)])[-1]


def _is_installed(file: str) -> bool:
    return file.startswith(_INSTALLED)


def _is_internal(file: str) -> bool:
    ours = any(file.startswith(os.path.join(_ROOT, name) + os.sep) for name in _OURS)
    library = file.startswith(_STDLIB) and not _is_installed(file)
    return ours or library or file.startswith("<")


def _unknown_field(error: BaseException, frame: FrameType) -> str:
    """Return what a field may have been meant to be called, "" if there is nothing to say."""
    found = _UNKNOWN_FIELD.search(_text(error)) if isinstance(error, TypeError) else None
    cls = frame.f_globals.get(found.group(1)) if found else None
    if found is None or not is_dataclass(cls):
        return ""
    known = [field.name for field in fields(cls)]
    return did_you_mean(found.group(2), known) or f"; it has {', '.join(known)}"
