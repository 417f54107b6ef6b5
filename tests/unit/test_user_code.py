"""What a user's own file raises ends in 2, in one line that begins where the mistake is."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkers.check import all_checks, broken
from harness.cli.main import run_cli
from harness.errors import DefinitionError, HarnessError, UsageError
from harness.run.perform import _carry_out
from harness.scenario.loader import find
from harness.systems.registry import load_system
from harness.user_code import told

PLAN = """from tallystick import *
import helper

KNOB = Parameter(name="knob", default=1, smoke=0, unit="", help="h")
TOPOLOGY = Topology(edges=("here",))


def plan(p):
    {body}


SCENARIO = Scenario(name="mine", claim="c", plan=plan, parameters=(KNOB,))
"""

BODIES = (
    ("return 1 / (p.knob - p.knob)", "ZeroDivisionError: division by zero", 9),
    ("return p.knobs", "AttributeError: the scenario declares no parameter 'knobs'", 9),
    ("return {}['x']", "KeyError: 'x'", 9),
    ("assert p.knob > 5", "AssertionError, in `assert p.knob > 5`", 9),
    ("raise SystemExit(3)", "SystemExit: 3", 9),
    ("return Stream(to='bob')", "Stream: to='bob'", 9),
    ("return random_mix(1, [], count=1, begin_s=0, end_s=1)", "random_mix: rng=1", 9),
    ("pass", "is a function that returns a Plan; it returned None; is a return missing?", 8),
    ("return Scenario", "it returned <class", 8),
    ("yield 1", "it returned <generator", 8),
    ("return helper.broken()", "NameError: name 'nothing' is not defined", -2),
    ("return Plan(topology=TOPOLOGY, phases=(), limits=('ack_p9_ms<=1',))", "'ack_p99_ms'?", 8),
    ("return Plan(topology=TOPOLOGY, phases=(), payloadz=1)", "did you mean 'payload'?", 9),
)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper.py").write_text("def broken():\n    return nothing\n")


@pytest.mark.parametrize(("body", "says", "line"), BODIES, ids=[body for body, _, _ in BODIES])
def test_a_plan_that_raises_or_makes_none_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], body: str, says: str, line: int
) -> None:
    Path("mine.py").write_text(PLAN.format(body=body))
    assert run_cli(["run", "./mine.py", "--dry-run"]) == 2
    told_ = capsys.readouterr().err
    assert f"mine.py:{line}: " in told_ if line > 0 else f"helper.py:{-line}: " in told_
    assert says in told_
    assert told_.count("\n") == 1
    assert "Traceback" not in told_


def test_a_plan_that_only_fails_with_some_values_says_with_which(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = "x = 1 / p.knob; return Plan(topology=TOPOLOGY, phases=(Drain(),))"
    Path("mine.py").write_text(PLAN.format(body=body))
    assert run_cli(["run", "./mine.py", "--dry-run"]) == 0
    for more in (["--profile", "smoke"], ["--set", "knob=0"]):
        capsys.readouterr()
        assert run_cli(["run", "./mine.py", "--dry-run", *more]) == 2
        assert "the plan of mine with knob=0: mine.py:9: Zero" in capsys.readouterr().err


MODULES = (
    ("1 / 0", "mine.py:1: ZeroDivisionError: division by zero, in `1 / 0`"),
    ("import absent_one", "mine.py:1: ModuleNotFoundError: No module named 'absent_one'"),
    ("from helper import absent", "mine.py:1: ImportError: cannot import name 'absent'"),
    ("from tallystick import Strem", "mine.py:1: ImportError: cannot import name 'Strem'"),
    ("\n\nprint(later)", "mine.py:3: NameError: name 'later' is not defined"),
    ("def (", "mine.py:1: SyntaxError: invalid syntax"),
    ("if True:\nx = 1", "mine.py:2: IndentationError: expected an indented block"),
    ("import json\njson.loads('{')", "mine.py:2: JSONDecodeError: Expecting property name"),
    ("raise ValueError('two\\nlines')", "mine.py:1: ValueError: two lines, in"),
    ("raise SystemExit('leave')", "mine.py:1: SystemExit: leave"),
    ("import helper\nhelper.broken()", "helper.py:2: NameError: name 'nothing'"),
    ("class E(Exception):\n    __str__ = None\nraise E", "mine.py:3: E, in `raise E`"),
)


@pytest.mark.parametrize(("code", "says"), MODULES, ids=[code for code, _ in MODULES])
@pytest.mark.parametrize("way", ["file", "module", "load", "system"])
def test_a_file_that_raises_while_it_is_loaded_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], code: str, says: str, way: str
) -> None:
    Path("mine.py").write_text(code)
    line = {
        "file": ["run", "mine.py"],
        "module": ["run", "mine:SCENARIO"],
        "load": ["run", "core_crash", "--dry-run", "--load", "mine.py"],
        "system": ["run", "core_crash", "--dry-run", "--system", "mine:SYSTEM"],
    }[way]
    assert run_cli(line) == 2
    told_ = capsys.readouterr().err
    assert says in told_
    assert "Traceback" not in told_
    assert told_.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "it must define SCENARIO = Scenario"),
        ("SCENARIO = 3", "SCENARIO is 3"),
        ("from tallystick import Scenario as SCENARIO", "SCENARIO is the class Scenario"),
        (f"{PLAN.format(body='pass')}\nMINE = SCENARIO\ndel SCENARIO", "did you mean 'MINE'?"),
    ],
)
def test_a_file_without_a_scenario_says_what_is_there(code: str, says: str) -> None:
    Path("mine.py").write_text(code)
    with pytest.raises(UsageError) as refusal:
        find("mine.py")
    assert says in str(refusal.value)


MEANT = (
    (["run", "my_chat"], "did you mean './my_chat.py'?"),
    (["run", "my-chat"], "did you mean './my_chat.py'?"),
    (["run", "./my_chat"], "did you mean './my_chat.py'?"),
    (["run", "my_chat.txt"], "did you mean './my_chat.py'?"),
    (["run", "my_caht.py"], "did you mean './my_chat.py'?"),
    (["run", "folder"], "did you mean './folder/only.py'?"),
    (["run", "core_crsh"], "did you mean 'core_crash'?"),
    (["run", "my_chat:SCENARO"], "did you mean 'SCENARIO'?"),
    (["run", "my_chat.py", "--load", "my_cht.py"], "did you mean './my_chat.py'?"),
    (["run", "my_chat.py", "--system", "my_broker"], "did you mean 'my_broker:BROKER_SYSTEM'?"),
    (["run", "my_chat.py", "--system", "my_broker.py"], "did you mean 'my_broker:BROKER_SYSTEM'?"),
    (["run", "my_chat.py", "--system", "my_broker:SYSTEM"], "did you mean 'BROKER_SYSTEM'?"),
    (["run", "my_chat.py", "--system", "redis"], "did you mean 'valkey'?"),
    (["run", "my_chat.py", "--system", "rabbitmq"], "one of kafka, nats, reference, valkey"),
    (["run", "my_chat.py", "--system", "rabbitmq"], "`tallystick new system NAME`"),
    (["run", "my_chat.py", "--system", "nats?jetsteam=off"], "did you mean 'jetstream'?"),
    (["run", "my_chat.py", "--system", "nats", "-o", "jetsteam=off"], "did you mean 'jetstream'?"),
    (["run", "my_chat.py", "--profile", "nightli"], "did you mean 'nightly'?"),
    (["run", "my_chat.py", "--set", "knobs=3"], "did you mean 'knob'?"),
    (["run", "my_chat.py", "--keep-history", "alway"], "did you mean 'always'?"),
    (["verify", "my_chat.py"], "did you mean `tallystick run my_chat.py`?"),
    (["explain", "limit"], "did you mean 'limits'?"),
    (["list", "--faults", "--systems"], "one list at a time"),
)


@pytest.mark.parametrize(("words", "says"), MEANT, ids=[" ".join(words) for words, _ in MEANT])
def test_what_was_probably_meant_is_said(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    body = "return Plan(topology=TOPOLOGY, phases=(Drain(),))"
    Path("my_chat.py").write_text(PLAN.format(body=body))
    Path("my_broker.py").write_text(
        "class Broker:\n    def deploy(self): ...\nWORD = 1\nBROKER_SYSTEM = Broker()\n"
    )
    Path("folder").mkdir()
    Path("folder/only.py").write_text("")
    assert run_cli(words) == 2
    told_ = capsys.readouterr().err
    assert says in told_
    assert told_.count("\n") == 1


def test_a_fault_of_a_schedule_that_there_is_not_is_answered_with_the_nearest() -> None:
    from harness.faults.registry import make

    with pytest.raises(UsageError, match=r"no fault 'link_cutt'; did you mean 'link_cut'\?"):
        make("link_cutt", {})


def test_a_systems_module_that_lacks_a_package_of_its_own_names_the_line() -> None:
    Path("needs.py").write_text("\nimport absent_one\n")
    with pytest.raises(DefinitionError, match=r"needs\.py:2: ModuleNotFoundError"):
        load_system("needs:SYSTEM")


def test_an_own_check_that_raises_names_its_file_and_line() -> None:
    Path("checks.py").write_text("def mine():\n    return 1 / 0\n")
    import checks  # type: ignore[import-not-found]

    with pytest.raises(ZeroDivisionError) as raised:
        checks.mine()
    result = broken(next(iter(all_checks())), raised.value)
    assert result.reason.startswith("the check broke: ")
    assert "checks.py:2: ZeroDivisionError: division by zero" in result.reason


class Raising:
    """A phase of one's own that raises."""

    name = "mine"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def carry_out(self, hands: object) -> None:
        raise self.error


class NotAsync:
    """A phase of one's own that forgot its `async`."""

    name = "mine"

    def carry_out(self, hands: object) -> None:
        """It should be async."""


@pytest.mark.anyio
async def test_what_an_own_phase_raises_is_the_harness_trouble_with_its_line() -> None:
    here = "test_user_code.py:"
    for error in (KeyError("x"), OSError("disk"), UsageError("no"), DefinitionError(f"{here} a")):
        with pytest.raises(HarnessError, match=rf"phase mine: .*{here}"):
            await _carry_out(None, Raising(error))  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match=rf"phase mine: .*{here}.*TypeError"):
        await _carry_out(None, NotAsync())  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match=r"^as it is$"):
        await _carry_out(None, Raising(HarnessError("as it is")))  # type: ignore[arg-type]


def test_of_a_group_the_first_error_is_told() -> None:
    group = ExceptionGroup("two", [ValueError("first"), ValueError("second")])
    assert told(group) == "ValueError: first"
