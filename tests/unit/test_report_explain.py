"""What `explain` knows, and that it is what the checks are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.checkers.check import all_checks
from harness.checkers.trust import TRUST_ORDER
from harness.errors import UsageError
from harness.report.explain import ANOMALY_IDS, find

DOCUMENT = Path(__file__).parents[2] / "docs" / "invariants.md"
CATALOGUE = re.findall(r"^\| ([A-E]\d+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)


def test_the_whole_catalogue_is_explained_and_ordered_by_trust() -> None:
    assert len(CATALOGUE) > 35
    assert list(ANOMALY_IDS) == CATALOGUE
    assert sorted(TRUST_ORDER) == sorted(CATALOGUE)


@pytest.mark.parametrize("spec", all_checks(), ids=lambda spec: spec.id)
def test_every_check_is_explained_under_its_name(spec) -> None:
    assert find(spec.id).name == spec.name
    assert find(spec.name).id == spec.id
    promised = "Counts if" in find(spec.id).judged
    assert promised == (spec.needs is not None)


@pytest.mark.parametrize(
    ("word", "entry_id"),
    [
        ("a1", "A1"),
        ("dup_log", "A7"),
        ("exit_codes", "exit-codes"),
        ("EXIT-CODE", "exit-codes"),
        ("pass", "PASS"),
        ("missed", "limits"),
        ("not_applicable", "NOT_APPLICABLE"),
        ("compare", "compare"),
    ],
)
def test_words_are_found_in_any_spelling(word: str, entry_id: str) -> None:
    assert find(word).id == entry_id


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("A77", "'A7' (DUP-LOG)"),
        ("exitcodes", "'exit-codes'"),
        ("vacous", "'D5' (VACUOUS)"),
        ("limit", "'limits'"),
        ("fifo", "'B1' (FIFO-SYNC) or 'B2' (FIFO-PIPE) or 'B3' (FIFO-HOLE)"),
    ],
)
def test_an_unknown_word_is_answered_with_what_is_near(word: str, near: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"did you mean {near}?")):
        find(word)


@pytest.mark.parametrize("word", ["foo", "bar", "x", "", "seed", "kafka"])
def test_nothing_is_suggested_where_nothing_is_near(word: str) -> None:
    with pytest.raises(UsageError, match="nothing called") as raised:
        find(word)
    assert "did you mean" not in str(raised.value)
