"""Every check has its row in docs/invariants.md, whole, and with the promise that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkers.check import Spec, all_checks

DOC = Path(__file__).parents[2] / "docs" / "invariants.md"
COLUMNS = {"definition", "applies", "example", "how it is computed", "source"}
OURS = [spec for spec in all_checks() if spec.make.__module__.startswith("harness")]


def rows() -> dict[str, dict[str, str]]:
    """Return each row of the tables by its id, as cells by column."""
    found: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    for line in DOC.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not columns:
            columns = cells
        elif columns[0] == "id" and not set(cells[0]) <= set("-"):
            assert len(cells) == len(columns), line
            found[cells[0]] = dict(zip(columns, cells, strict=True))
    return found


ROWS = rows()


def test_the_tables_hold_the_checks_and_nothing_else() -> None:
    assert list(ROWS) == [spec.id for spec in OURS]


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.id)
def test_a_row_is_whole_and_names_what_the_check_needs(spec: Spec) -> None:
    row = ROWS[spec.id]
    assert spec.name in row.values()
    assert row.keys() >= COLUMNS
    assert all(row.values())
    if spec.needs is not None:
        assert f"`{spec.needs.value}`" in row["applies"]
    else:
        assert "`" not in row["applies"]
