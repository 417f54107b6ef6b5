"""The list of faults: made from the classes, complete, and the same as JSON."""

from __future__ import annotations

import json

import pytest

from harness.cli.main import run_cli
from harness.faults.catalogue import catalogue
from harness.faults.registry import faults
from harness.faults.targets import AIMS


def test_every_fault_says_what_it_does_and_what_shows_it() -> None:
    listed = catalogue()
    assert [about.kind for about in listed] == list(faults())
    for about in listed:
        assert about.does.endswith("."), about.kind
        assert about.observed.endswith("."), about.kind
        assert about.aims_at in AIMS
        for parameter in about.parameters:
            assert parameter.help.endswith("."), f"{about.kind}.{parameter.name}"


def test_units_come_from_the_names() -> None:
    by_kind = {about.kind: about for about in catalogue()}
    units = {one.name: one.unit for about in by_kind.values() for one in about.parameters}
    assert units["rate_bytes_per_s"] == "bytes/s"
    assert units["delay_ms"] == "ms"
    assert units["duration_s"] == "s"
    assert units["kills_count"] == "count"
    assert units["direction"] == ""
    loss = next(one for one in by_kind["power_loss"].parameters if one.name == "loss")
    assert (loss.default, loss.help[:6], loss.help[-7:]) == ("all", '"all":', "moment.")


def test_the_list_is_printed_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["list", "--faults", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {about["kind"]: about["name"] for about in told} == {
        kind: cls.__name__ for kind, cls in faults().items()
    }
    assert run_cli(["list", "--faults"]) == 0
    text = capsys.readouterr().out
    for about in told:
        assert f"{about['kind']}  ({about['name']}, on a " in text
    assert max(map(len, text.splitlines())) <= 80
