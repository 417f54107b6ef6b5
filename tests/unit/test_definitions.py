"""What a scenario is made of checks itself when it is made, and says where in the user's file."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tallystick
from harness.definitions import NAME_BYTES_MAX
from harness.errors import DefinitionError
from harness.faults.registry import faults
from harness.load.payloads import SIZE_BYTES_MAX, PayloadKind
from harness.scenario.loader import load_file
from harness.scenario.scenario import PAYLOAD_BYTES_MAX
from tallystick import (
    Ability,
    AskPresence,
    CatchUp,
    Churn,
    Drain,
    Inspect,
    Kill,
    LinkCut,
    Load,
    Login,
    Logout,
    Parameter,
    PayloadSpec,
    Plan,
    Planned,
    ProcessKill,
    Promote,
    Read,
    Requires,
    Restart,
    Scenario,
    Send,
    Start,
    Storm,
    Stream,
    Topology,
    at,
    every,
)

HEAD = """from dataclasses import dataclass
import random
import tallystick
from tallystick.names import *
KILL = at(1, ProcessKill(), on="core")
S = Stream(to=("bob",), count=1)
T = Topology(edges=("here",))
P = Plan(topology=T, phases=())
N = float("nan")
@dataclass(frozen=True)
class Unregistered:
    duration_s: float = 1.0
class NoPhase:
    name = "mine"
"""

WRONG = (
    # The missing comma, and what else is no tuple.
    ('Stream(to="bob")', "Stream: to='bob': a tuple", 'did you mean ("bob",)?'),
    ('Topology(edges=("a"))', "Topology: edges='a': a tuple", 'did you mean ("a",)?'),
    ("Load(duration_s=5, streams=(S,), faults=(KILL))", "Load: faults=Planned", "did you mean (Pl"),
    ("Load(duration_s=5, streams=(S))", "Load: streams=Stream", "did you mean (Stream("),
    ("Plan(topology=T, phases=Drain())", "Plan: phases=Drain(", "did you mean (Drain("),
    ('Plan(topology=T, phases=(), limits="ack_p99_ms <= 5")', "limits=", '("ack_p99_ms <= 5",)?'),
    ('Scenario(name="a", claim="c", plan=P, checks="A1")', "checks='A1'", 'did you mean ("A1",)?'),
    ('Login(inboxes="bob")', "Login: inboxes='bob'", 'did you mean ("bob",)?'),
    ('AskPresence(users="bob")', "AskPresence: users='bob'", 'did you mean ("bob",)?'),
    ("Stream(to=(x for x in ['bob']))", "Stream: to=<generator", "did you mean tuple(…)?"),
    ("Stream(to={'bob'})", "Stream: to={'bob'}", "did you mean tuple({'bob'})?"),
    ("Stream(to=None)", "Stream: to=None", "a tuple in which each item is a text"),
    ("Stream(to=7)", "Stream: to=7", "a tuple"),
    ("Stream(to=('bob', 7))", "each item is a text; number 2 is 7", ""),
    ("Stream(to=(('bob',), 'ann'))", "number 1 is ('bob',)", "did you mean *("),
    (
        "Load(duration_s=5, streams=(S,), faults=(every(1, LinkCut(), on='*', end_s=2),))",
        "number 1 is (Planned",
        "a star before what is several already",
    ),
    # Names.
    ("Stream(to=())", "Stream: to=(): at least one name", ""),
    ("Stream(to=('',))", "'' is none: a name, which is not empty", ""),
    ("Stream(to=('a\\nb',))", "printable", ""),
    ("Stream(to=('bob', 'bob'))", "each name once, and 'bob' is there twice", ""),
    ("Stream(to=('b' * 200,))", "128 bytes at most", ""),
    ("Topology(edges=())", "edges=(): at least one name", ""),
    ("Topology(edges=('a', 'a'))", "'a' is there twice", ""),
    ("Topology(edges=('a:b',))", "'a:b' is none: words of letters and digits", ""),
    ("Topology(edges=('a*',))", "'a*' is none", ""),
    ("Topology(edges=('a',), window_bytes=5)", "window_bytes=5: 0, or 4096 or more", ""),
    ("Topology(edges=('a',), cache_bytes=-1)", "cache_bytes=-1: 0 or more", ""),
    ("Promote(inbox='', bucket_count=2)", "inbox='': a name, which is not empty", ""),
    ("Login(inboxes=('bob',), device='')", "device=''", ""),
    ("Scenario(name='bad name!', claim='c', plan=P)", "name='bad name!': words of letters", ""),
    ("Scenario(name='', claim='c', plan=P)", "joined by _", ""),
    ("Scenario(name='a__b', claim='c', plan=P)", "joined by _", ""),
    ("Scenario(name='../up', claim='c', plan=P)", "joined by _", ""),
    ("Scenario(name='a', claim=' ', plan=P)", "claim=' ': a text that is not empty", ""),
    # Numbers.
    ("Stream(to=('bob',), producers='4')", "producers='4': a whole number", "did you mean 4?"),
    ("Stream(to=('bob',), producers=4.0)", "a whole number", "did you mean 4?"),
    ("Stream(to=('bob',), producers=True)", "producers=True: a whole number", ""),
    ("Stream(to=('bob',), producers=0)", "producers=0: 1 or more", ""),
    ("Stream(to=('bob',), rate_per_s=-1)", "rate_per_s=-1: 0 or more", ""),
    ("Stream(to=('bob',), rate_per_s=N)", "rate_per_s=nan: a finite number", ""),
    ("Stream(to=('bob',), rate_per_s=10**400)", "a finite number up to 1e+12", ""),
    ("Stream(to=('bob',), batch_count=0)", "batch_count=0: 1 or more", ""),
    ("Churn(down_s=-1)", "Churn: down_s=-1: 0 or more", ""),
    ("Churn(from_cursor_share=1.5)", "Churn: from_cursor_share=1.5: a share, 1 at most", ""),
    ("Storm(down_s=None)", "Storm: down_s=None: a finite number", ""),
    ("Load(duration_s=0.0, streams=(S,))", "duration_s=0.0: more than 0", ""),
    ("Load(duration_s=float('inf'), streams=(S,))", "duration_s=inf: a finite number", ""),
    ("Load(duration_s='5', streams=(S,))", "a finite number", "did you mean 5.0?"),
    ("Send(stream=Stream(to=('bob',)))", "its count is 1 or more", ""),
    ("Send(stream=S, within_s=0)", "within_s=0: more than 0", ""),
    ("Promote(inbox='a', bucket_count=0)", "bucket_count=0: 1 or more", ""),
    ("Drain(stuck_after_s=0)", "stuck_after_s=0: more than 0", ""),
    ("Drain(reread=1)", "reread=1: True or False", ""),
    ("Requires(sends_ok=-1)", "Requires: sends_ok=-1: 0 or more", ""),
    ("Requires(backlog=1.5)", "backlog=1.5: a whole number", ""),
    ("PayloadSpec(kind='text')", "kind='text': one of random, numbered", ""),
    ("PayloadSpec(size_bytes_min=200)", "size_bytes_max=100: size_bytes_min=200 or more", ""),
    ("PayloadSpec(size_bytes_max=1 << 21)", "from 0 up to", ""),
    ("Plan(topology=T, phases=(), load_processes=0)", "load_processes=0: 1 or more", ""),
    # Places.
    ("Topology(edges=('eu',), latency_ms={'ue': 5})", "'ue' is no edge", "did you mean 'eu'?"),
    ("Topology(edges=('eu',), latency_ms={'eu': '5'})", "a text to a whole n", "did you mean 5?"),
    ("Topology(edges=('eu',), latency_ms={'eu': -5})", "from 0 up to 10000 ms", ""),
    ("Topology(edges=('eu',), retention='all')", "retention='all': one of run, ack", ""),
    ("Restart(role='cores')", "role='cores': one of core, edge", ""),
    ("Kill(role='edge', index=-1)", "index=-1: 0 or more", ""),
    ("Start(role='core', index=1)", "index=1: 0, for there is one core", ""),
    ("Plan(topology=T, phases=(Kill(role='edge', index=1),))", "phase 1 (Kill): index=1", ""),
    ("Plan(topology=T, phases=(Login(inboxes=('b',), edge='her'),))", "edge='her'", "'here'?"),
    # A class for an object, and one thing for another.
    ("at(1, LinkReset, on='*')", "fault=<class", "did you mean LinkReset(…)?"),
    ("at(1, 'link_reset', on='*')", "fault='link_reset': a Fault", ""),
    ("at(1, Unregistered(), on='*')", "it lacks", ""),
    ("Plan(topology=T, phases=(Drain,))", "number 1 is <class", "did you mean Drain(…)?"),
    ("Plan(topology=T, phases=(NoPhase(),))", "a tuple in which each item is", ""),
    ("Plan(topology=T, phases=(KILL,))", "number 1 is Planned", ""),
    ("Plan(topology=Topology, phases=())", "a Topology, not the class", "did you mean Topology("),
    ("Plan(topology=T, phases=(), requires=3)", "requires=3: a Requires", ""),
    ("Load(duration_s=5, streams=(S,), churn=Churn)", "a Churn, not the class", ""),
    ("Load(duration_s=5, streams=(S,), during=(Storm(),))", "number 1 is Storm", ""),
    ("Load(duration_s=5, streams=(S,), during=((9, Storm()),))", "Storm at 9 s of a load", ""),
    ("Load(duration_s=0.5, streams=(S,), faults=(KILL,))", "at 1 s of a load of 0.5 s", ""),
    ("Scenario(name='a', claim='c', plan=Plan)", "plan=<class", ""),
    ("Scenario(name='a', claim='c', plan=None)", "plan=None: a Plan or a function", ""),
    ("Scenario(name='a', claim='c', plan=P, checks=('A1', 7))", "item is a text; number 2", ""),
    ("Scenario(name='a', claim='c', plan=P, checks=('A1', 'A1'))", "'A1' is there twice", ""),
    ("Scenario(name='a', claim='c', plan=P, needs=Ability.KILL)", "a set", "mean frozenset"),
    ("Scenario(name='a', claim='c', plan=P, needs={'kill'})", "an Ability", "mean Ability.KILL?"),
    ("Scenario(name='a', claim='c', plan=P, smoke='no')", "smoke='no': True or False", ""),
    # Faults and their times.
    ("at(-1, LinkCut(), on='*')", "at_s=-1: 0 or more", "begin of the phase"),
    ("at('1', LinkCut(), on='*')", "at_s='1'", "did you mean 1.0?"),
    ("at(1, LinkCut(), on=('*',))", "on=('*',): a text", 'did you mean "*"?'),
    ("at(1, LinkCut(), on='')", "on='': a text that is not empty", ""),
    ("every(0, LinkCut(), on='*', end_s=5)", "every: period_s=0: more than 0", ""),
    ("every(1, LinkCut, on='*', end_s=5)", "fault=<class", "did you mean LinkCut(…)?"),
    ("every(1e-9, LinkCut(), on='*', end_s=5)", "more than 100000", ""),
    ("every(1, LinkCut(), on='*', end_s='5')", "every: end_s='5'", "did you mean 5.0?"),
    ("LinkCut(duration_s='2')", "LinkCut: duration_s='2'", "did you mean 2.0?"),
    ("LinkCut(duration_s=-1)", "duration_s=-1: from 0 up to 86400", ""),
    ("LinkLatency(latency_ms='100')", "latency_ms='100'", "did you mean 100?"),
    ("LinkLatency(latency_ms=5)", "LinkLatency: latency_ms=5: 10 or more", ""),
    ("LinkLatency(direction='up')", "LinkLatency: ", ""),
    ("PowerLoss(loss='all of it')", "PowerLoss: loss 'all of it': one of", ""),
    ("random_mix(1, [(LinkCut(), '*')], count=1, begin_s=0, end_s=1)", "random_mix: rng=1", ""),
    ("random_mix(random.Random(1), [LinkCut()], count=1, begin_s=0, end_s=1)", "choices=", ""),
    # Parameters.
    ("Parameter(name='a b', default=1, unit='', help='')", "name='a b': a name that", ""),
    ("Parameter(name='as_dict', default=1, unit='', help='')", "Parameters.as_dict is there", ""),
    ("Parameter(name='a', default=None, unit='', help='')", "default=None", ""),
    ("Parameter(name='a', default=N, unit='', help='')", "default=nan", ""),
    ("Parameter(name='a', default=1, smoke='1', unit='', help='')", "the default's type, int", ""),
    ("Parameter(name='a', default=5, maximum=4, unit='', help='')", "a whole number up to 4", ""),
    ("Parameter(name='a', default=5, nightly=9, maximum=8, unit='', help='')", "nightly=9", ""),
    ("Parameter(name='a', default=5, minimum=9, maximum=8, unit='', help='')", "minimum=9 or", ""),
    ("Parameter(name='a', default='x', choices=('y', 'z'), unit='', help='')", "one of y, z", ""),
    # What Python itself refuses.
    ("Stream(two='bob')", "unexpected keyword argument 'two'", "did you mean 'to'?"),
    ("Stream()", "missing 1 required keyword-only argument: 'to'", ""),
    ("LinkCut(duration=3)", "unexpected keyword argument", "did you mean 'duration_s'?"),
    ("Promote(inbox='a', bucket_count=1 / 0)", "ZeroDivisionError: division by zero", "1 / 0"),
)  # fmt: skip


def load(tmp_path: Path, code: str) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(code)
    load_file(str(file))
    return file


@pytest.mark.parametrize(("code", "told", "hint"), WRONG, ids=[code for code, _, _ in WRONG])
def test_what_cannot_be_is_refused_with_file_line_and_what_was_meant(
    tmp_path: Path, code: str, told: str, hint: str
) -> None:
    line = HEAD.count("\n") + 2
    with pytest.raises(DefinitionError) as refusal:
        load(tmp_path, f"{HEAD}\nWRONG = {code}\n")
    words = str(refusal.value)
    assert words.startswith(f"{tmp_path}/mine.py:{line}: ")
    assert told in words
    assert hint in words
    assert "\n" not in words


def test_the_head_of_the_table_is_sound(tmp_path: Path) -> None:
    load(tmp_path, HEAD)


def test_the_line_is_that_of_the_call_also_in_a_function_and_over_several_lines(
    tmp_path: Path,
) -> None:
    code = "import tallystick as t\ndef make():\n    return t.Stream(\n    to='bob',\n    )\nmake()"
    with pytest.raises(DefinitionError, match=r"mine\.py:3: Stream: "):
        load(tmp_path, code)


def test_what_we_make_ourselves_names_no_file_of_ours() -> None:
    from harness.faults.registry import from_json
    from harness.run.replay import with_schedules

    stored = {"at_s": -1.0, "kind": "link_cut", "on": "x", "parameters": {}}
    # This test is the user here; the registry on the way is not.
    with pytest.raises(DefinitionError, match=r"^tests/unit/test_definitions\.py:\d+: Planned: "):
        from_json([stored])
    plan = Plan(topology=TOPOLOGY, phases=(Load(duration_s=1, streams=()),))
    with pytest.raises(DefinitionError, match=r"^Load: faults="):
        with_schedules(plan, ((at(9, LinkCut(), on="*"),),))


def test_a_list_is_a_tuple_a_set_a_frozenset_and_a_mapping_a_copy() -> None:
    latency_ms = {"a": 5}
    topology = Topology(edges=["a"], latency_ms=latency_ms)  # type: ignore[arg-type]
    latency_ms["b"] = 6
    assert (topology.edges, topology.latency_ms) == (("a",), {"a": 5})
    load_ = Load(duration_s=5, streams=[Stream(to=["bob"])], during=[(1, Storm())])  # type: ignore[arg-type, list-item]
    assert load_.streams == (Stream(to=("bob",)),)
    assert load_.during == ((1, Storm()),)
    plan = Plan(topology=topology, phases=[load_])  # type: ignore[arg-type]
    needs = {Ability.KILL}
    scenario = Scenario(name="a", claim="c", plan=plan, needs=needs)  # type: ignore[arg-type]
    assert (plan.phases, scenario.needs) == ((load_,), frozenset(needs))
    assert isinstance(scenario.needs, frozenset)


def test_a_field_that_comes_later_is_checked_without_a_word_about_it() -> None:
    from harness.definitions import check_fields

    @dataclasses.dataclass(frozen=True, slots=True)
    class Later:
        optional: bool = False

        def __post_init__(self) -> None:
            check_fields(self)

    assert Later(optional=True).optional
    with pytest.raises(DefinitionError, match=r"Later: optional='yes': True or False"):
        Later(optional="yes")  # type: ignore[arg-type]


def test_limits_that_stand_in_two_places_are_the_same() -> None:
    from reference.wire.limits import INBOX_NAME_BYTES_MAX

    assert NAME_BYTES_MAX == INBOX_NAME_BYTES_MAX
    assert PAYLOAD_BYTES_MAX == SIZE_BYTES_MAX
    for kind in PayloadKind:
        assert PayloadSpec(kind=kind.value).kind == kind


def test_a_long_schedule_costs_little() -> None:
    begun_s = time.process_time()
    planned = every(0.001, LinkCut(), on="*", end_s=100)
    Load(duration_s=100, streams=(), faults=planned)
    assert len(planned) == 100_000
    # About 0.3 s on a quiet machine; the bound is for a busy one.
    assert time.process_time() - begun_s < 3.0


STREAM = Stream(to=("bob",), count=1)
TOPOLOGY = Topology(edges=("here",))
PLAN = Plan(topology=TOPOLOGY, phases=(Drain(),))

SOUND: tuple[Any, ...] = (
    STREAM, TOPOLOGY, PLAN, Churn(), Storm(), Requires(), PayloadSpec(), Drain(),
    Promote(inbox="bob", bucket_count=2), Send(stream=STREAM),
    Load(duration_s=5, streams=(STREAM,), faults=(at(1, LinkCut(), on="*"),)),
    Login(inboxes=("bob",)), Read(inboxes=("bob",)), CatchUp(inboxes=("bob",)),
    Logout(inboxes=("bob",)), Restart(role="core"), Kill(role="core"), Start(role="core"),
    AskPresence(users=("bob",)), Inspect(inboxes=("bob",)), at(1, ProcessKill(), on="core"),
    Parameter(name="count", default=1, unit="", help=""),
    Scenario(name="mine", claim="c", plan=PLAN), *(cls() for cls in faults().values()),
)  # fmt: skip
"""One of every dataclass of the language, and one of every fault."""


def test_every_dataclass_of_the_language_is_among_the_sound() -> None:
    elsewhere = (
        "harness.history",
        "harness.systems.port",
        "harness.systems.takes",
        "harness.links",
        "harness.processes",
    )
    public = {
        one
        for name in tallystick.names.__all__
        if isinstance(one := getattr(tallystick, name), type) and dataclasses.is_dataclass(one)
    }
    language = {
        one
        for one in public
        if one.__module__.startswith(("harness.scenario", "harness.faults", "harness.systems.topo"))
    }
    assert language - {type(one) for one in SOUND} == {tallystick.ProcessTarget}
    assert all(
        one.__module__.startswith((*elsewhere, "harness.checkers", "harness.systems.broker"))
        for one in public - language
    )


class Hostile:
    """It raises whatever is done to it."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __repr__  # type: ignore[assignment]


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(),
    st.sampled_from([LinkCut, Drain, LinkCut(), Drain(), STREAM, TOPOLOGY, PLAN, object]),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just(LinkCut()))),
    st.tuples(st.floats(), st.text(max_size=3)), st.sets(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3)), max_size=2),
    st.sampled_from([10**5000, -(10**5000), "9" * 5000, 1e308, complex(1, 1), iter(()), len, ...]),
    st.builds(Hostile), st.builds(lambda: (one for one in ("bob",))),
)  # fmt: skip


def holds(declared: Any, value: object) -> bool:
    """Say whether a value is of a declared type; written anew here, to be held against ours."""
    origin, inner = get_origin(declared), get_args(declared)
    if declared is Any:
        return True
    if declared in (int, float):
        number = isinstance(value, (int, float) if declared is float else int)
        return number and not isinstance(value, bool) and abs(value) <= 10**12  # type: ignore[arg-type]
    if origin in (Union, UnionType):
        return any(holds(one, value) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple and inner[-1] is ...:
        return isinstance(value, tuple) and all(holds(inner[0], one) for one in value)
    if origin is tuple:
        fits = isinstance(value, tuple) and len(value) == len(inner)
        return fits and all(map(holds, inner, value))  # type: ignore[arg-type]
    if origin is frozenset:
        return isinstance(value, frozenset) and all(holds(inner[0], one) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        pairs = value.items() if isinstance(value, Mapping) else [(None, None)]
        return all(holds(inner[0], key) and holds(inner[1], one) for key, one in pairs)
    if origin is Callable or (origin is not None and origin.__name__ == "Callable"):
        return callable(value) and not isinstance(value, type)
    if getattr(declared, "_is_protocol", False):
        wanted = "inject" if declared.__name__ == "Fault" else "carry_out"
        return hasattr(value, wanted) and not isinstance(value, type)
    if isinstance(declared, type) and issubclass(declared, Enum):
        return isinstance(value, declared)
    return isinstance(value, declared)


@pytest.mark.parametrize("sound", SOUND, ids=lambda one: type(one).__name__)
@settings(deadline=None)  # A busy machine stands still for longer.
@given(data=st.data())
def test_no_wrong_type_gets_past_and_nothing_else_is_raised(
    sound: Any, data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from(dataclasses.fields(sound)))
    value = data.draw(ANYTHING)
    made, told = sound, ""
    try:
        made = dataclasses.replace(sound, **{field.name: value})
    except DefinitionError as refusal:
        told = str(refusal)
    assert told.startswith("tests/unit/test_definitions.py:" if told else "")
    assert holds(get_type_hints(type(sound))[field.name], getattr(made, field.name))


@settings(deadline=None)  # A busy machine stands still for longer.
@given(at_s=ANYTHING, fault=ANYTHING, on=ANYTHING)
def test_no_argument_of_at_is_anything_else(at_s: Any, fault: Any, on: Any) -> None:
    try:
        made = at(at_s, fault, on=on)
    except DefinitionError:
        return
    hints = get_type_hints(Planned)
    assert all(holds(hints[name], getattr(made, name)) for name in ("at_s", "fault", "on"))


@settings(deadline=None)  # A busy machine stands still for longer.
@given(period_s=ANYTHING, begin_s=ANYTHING, end_s=ANYTHING)
def test_no_argument_of_every_is_anything_else(period_s: Any, begin_s: Any, end_s: Any) -> None:
    try:
        made = every(period_s, LinkCut(), on="*", begin_s=begin_s, end_s=end_s)
    except DefinitionError:
        return
    assert all(isinstance(one, Planned) for one in made)
