"""What a docstring in Google's convention says of each field; the schema and a document come of it.

Pure: text in, text out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

HEADING = "Attributes:"

_ENTRY = re.compile(r" {4}(?P<names>\w+(?:, \w+)*): (?P<text>\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A docstring in its parts.

    Attributes:
        about: All but the section `Attributes:`, without indentation.
        fields: What that section says of each name, on one line, in its order. An entry for
            several names ("prefix, suffix: …") is there for each of them.
    """

    about: str
    fields: Mapping[str, str]


def told_by(docstring: str | None) -> Told:
    """Return what a docstring says; nothing of nothing, as under ``python -OO``."""
    about: list[str] = []
    fields: dict[str, str] = {}
    entry: list[str] = []
    inside = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if line == HEADING:
            inside = True
        elif inside and (found := _ENTRY.fullmatch(line)) is not None:
            entry = found["names"].split(", ")
            fields.update(dict.fromkeys(entry, found["text"]))
        elif inside and (not line or line.startswith(" ")):
            for name in entry if line else ():
                fields[name] += f" {line.strip()}"
        else:
            inside = False
            about.append(line)
    return Told(about="\n".join(about).strip(), fields=fields)
