"""What is odd about a plan is said before it is run; of our own scenarios nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.run.remarks import remarks
from harness.scenario.extras import Extra
from harness.scenario.loader import LoadedScenario, load_all
from harness.scenario.phases import SendExtras
from harness.scenario.suites import plan_of
from harness.systems.topology import Topology
from tallystick import Drain, Load, Login, Plan, Send, Stream

HERE = Topology(edges=("here",))


def plan(read: tuple[str, ...], *written: str) -> Plan:
    load = Load(duration_s=1.0, streams=(Stream(to=written[1:], rate_per_s=1.0),))
    send = Send(stream=Stream(to=written[:1], count=1))
    return Plan(topology=HERE, phases=(Login(inboxes=read), send, load, Drain()))


def test_an_inbox_that_is_read_and_never_written_to_is_named_with_the_one_that_was_meant() -> None:
    assert list(remarks(plan(("ann", "bbo"), "ann", "bob"))) == [
        "'bbo' is read and nothing in the plan is sent to it; did you mean 'bob'?"
    ]
    # Whoever is read already is not meant; and it may be wanted so.
    assert list(remarks(plan(("bob", "bobo"), "ann", "bob"))) == [
        "'bobo' is read and nothing in the plan is sent to it"
    ]


def test_what_nobody_reads_is_an_offline_user() -> None:
    assert list(remarks(plan(("ann",), "ann", "bob"))) == []


@pytest.mark.parametrize("inbox", ["Ann", "elsewhere"])
def test_what_the_seed_draws_writes_to_what_it_reads(inbox: str) -> None:
    extra = Extra(kind="names", to=(inbox,), producers=(7,), batches=(1,))
    read = plan(("ann", inbox), "ann", "bob")
    login, send, load, drain = read.phases
    assert isinstance(load, Load)
    for phases in (
        (login, send, SendExtras(extras=(extra,)), load, drain),
        (login, send, replace(load, extras=(extra,)), drain),
    ):
        assert list(remarks(replace(read, phases=phases))) == []


@pytest.mark.parametrize("loaded", [*load_all()], ids=lambda loaded: loaded.scenario.name)
def test_our_own_scenarios_have_nothing_odd(loaded: LoadedScenario) -> None:
    assert list(remarks(plan_of(loaded, "standard"))) == []
