"""The kept record of reach: a state of the catalogue that no suite of it reached is red."""

from __future__ import annotations

from harness.reach.page import BEGIN, DOCUMENT, END, read, record, unreached


def test_the_record_has_the_catalogue_of_today_and_every_state_was_reached():
    text = DOCUMENT.read_text("utf-8")
    columns = read(text)
    made = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert made == record(columns), "write it anew: python -m harness.reach.page SUITE…"
    assert {one.heading.split(", ")[1] for one in columns} <= {"smoke", "standard"}
    assert unreached(columns) == []
