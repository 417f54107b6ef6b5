"""docs/scenarios.md has every word of the scenario language, as the code has it."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

import tallystick
from harness import docstrings, markdown
from harness.scenario.phases import Phase
from tallystick import names
from tallystick.scenarios_page import BEGIN, CHAPTERS, DOCUMENT, reference, with_reference

TOLD = [name for chapter in CHAPTERS.values() for name in chapter]
SPOKEN_OF = {"Phase"}
"""A name for all the phases, each of which is told."""


def test_the_page_is_what_the_docstrings_say() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert with_reference(text, reference()) == text, "run python -m tallystick.scenarios_page"


def test_the_page_has_every_public_name_of_the_language() -> None:
    assert len(TOLD) == len(set(TOLD))
    # Nobody writes `SendExtras`; the runner puts it in.
    assert {kind.__name__ for kind in get_args(Phase)} - {"SendExtras"} <= set(TOLD)
    of_the_language = {
        name
        for name in names.__all__
        if str(getattr(getattr(names, name), "__module__", "")).startswith("harness.scenario.")
    }
    assert of_the_language - SPOKEN_OF <= set(TOLD) <= set(names.__all__)


@pytest.mark.parametrize("name", TOLD)
def test_every_field_is_told_and_no_other(name: str) -> None:
    public = getattr(tallystick, name)
    if dataclasses.is_dataclass(public):
        fields = [field.name for field in dataclasses.fields(public)]
        assert list(docstrings.told_by(public.__doc__).fields) == fields


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_reference(BEGIN, "made")


def test_a_table_keeps_what_would_end_a_cell() -> None:
    assert markdown.table(("a",), [("x | y",)]).splitlines()[-1] == r"| x \| y |"
