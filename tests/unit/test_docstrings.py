"""What is read out of a docstring: its fields, whole, and the rest without them."""

from __future__ import annotations

from harness.docstrings import told_by


def test_fields_are_read_whole_and_the_rest_is_kept() -> None:
    told = told_by(
        """One thing.

        More of it: it is good.

        Attributes:
            first: In ms; null if it
                was not measured: none.
            left, right: Alike.

            last: The end.

        Names are words.

        - a list: of these
        """
    )
    assert dict(told.fields) == {
        "first": "In ms; null if it was not measured: none.",
        "left": "Alike.",
        "right": "Alike.",
        "last": "The end.",
    }
    assert told.about == (
        "One thing.\n\nMore of it: it is good.\n\nNames are words.\n\n- a list: of these"
    )


def test_a_missing_docstring_says_nothing() -> None:
    assert told_by(None) == told_by("")
    assert not told_by(None).about
    assert not told_by(None).fields
