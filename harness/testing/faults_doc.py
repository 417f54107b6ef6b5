"""What docs/faults.md says that an effect may hold, for the tests that see one."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
HEADING = "## What an effect says\n"

_WORD = re.compile(r"`(\w+)`")


def effect_keys() -> dict[str, set[str]]:
    """Return the documented keys of each kind of fault, the storm among them."""
    section = DOCUMENT.read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0]
    found: dict[str, set[str]] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            keys, kinds = map(_WORD.findall, line.split("|")[1:3])
            for kind in kinds:
                found.setdefault(kind, set()).update(keys)
    return found
