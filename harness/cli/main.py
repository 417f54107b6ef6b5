"""`tallystick`: the verbs, and the exit code of whatever happens.

Only the module of the verb that was asked for is imported, so that help and errors are quick.
"""

from __future__ import annotations

import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from harness.cli.secret_words import hide_secrets, overwrite_arguments
from harness.cli.usage import ROOT_EPILOG, ROOT_HELP
from harness.errors import HarnessError, UsageError
from harness.nearest import did_you_mean
from harness.processes.python import find_users_modules

EXIT_USAGE = 2
EXIT_ERROR = 70
EXIT_SIGNAL_BASE = 128
"""Shells report a process that a signal ended as this plus the signal's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb: where its function lies, and the line that the overview shows."""

    name: str
    place: str
    help: str
    group: bool = False


VERBS = (
    Verb(
        name="list",
        place="harness.cli.scenarios:list_scenarios",
        help="List the scenarios; --faults: what can be broken, --systems: under test.",
    ),
    Verb(
        name="show",
        place="harness.cli.scenarios:show",
        help="Show a scenario: its claim, parameters with units and defaults, checks.",
    ),
    Verb(name="run", place="harness.cli.run:run", help="Run one scenario and judge it."),
    Verb(name="verify", place="harness.cli.verify:verify", help="Run all scenarios, for CI."),
    Verb(
        name="replay",
        place="harness.cli.replay:replay",
        help="Run a stored run again: its scenario, seed and exact schedule of faults.",
    ),
    Verb(
        name="check",
        place="harness.cli.check:check",
        help="Judge a stored run again, from its history alone.",
    ),
    Verb(
        name="new",
        place="harness.cli.new:new",
        help="Make a scenario, system, check or fault of your own to start from.",
    ),
    Verb(
        name="history",
        place="harness.cli.history:history",
        help="Tell everything that was recorded of one message.",
    ),
    Verb(
        name="report",
        place="harness.cli.report:report",
        help="Make one HTML page of a run or a suite.",
    ),
    Verb(
        name="reach",
        place="harness.cli.reach:reach",
        help="Tell which rare states a run or a suite came to, and which never.",
    ),
    Verb(
        name="compare",
        place="harness.cli.compare:compare",
        help="Hold two results, suites or folders of repeats against each other.",
    ),
    Verb(
        name="explain",
        place="harness.cli.explain:explain",
        help="Say what an anomaly, a verdict or an exit code means.",
    ),
    Verb(
        name="serve",
        place="harness.cli.serve:app",
        help="Run a core or an edge of the reference system by hand.",
        group=True,
    ),
    Verb(
        name="schema",
        place="harness.cli.schema:print_schema",
        help="Print the JSON Schema of result or suite files.",
    ),
    Verb(
        name="selftest",
        place="harness.cli.selftest:selftest",
        help="Plant bugs, and see the checks name each of them.",
    ),
    Verb(
        name="setup",
        place="harness.cli.setup:setup",
        help="Bring the Toxiproxy server, which pip cannot install.",
    ),
    Verb(
        name="conform",
        place="harness.cli.conform:conform",
        help="Try whether an adapter does what the harness builds upon.",
    ),
    Verb(
        name="doctor",
        place="harness.cli.doctor:doctor",
        help="Say what is installed, missing or odd, and how to get it.",
    ),
    Verb(
        name="clean",
        place="harness.cli.clean:clean",
        help="Remove the oldest runs, or what killed runs left at a server of yours.",
    ),
)


def main() -> None:
    """Run the command line of this process and end it with its exit code."""
    overwrite_arguments()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A claim with a letter that the terminal lacks must not end a run.
            stream.reconfigure(errors="replace")
    # A user's `module:NAME` is also looked for where the user stands, as load processes do.
    find_users_modules()
    sys.exit(run_cli(sys.argv[1:]))


def run_cli(arguments: Sequence[str]) -> int:
    """Run the command line with these arguments and return the exit code.

    Nothing is raised: wrong usage is one line and 2, anything unforeseen one line and 70, since 1
    is kept for a system that lost something.
    """
    debug = "--debug" in arguments
    if not arguments:
        run_cli(["--help"])
        return EXIT_USAGE
    try:
        code = _app_for(arguments)(
            args=list(arguments), prog_name="tallystick", standalone_mode=False
        )
    except UsageError as error:
        return _fail(EXIT_USAGE, str(error))
    except HarnessError as error:
        if debug:
            traceback.print_exc()
        return _fail(EXIT_ERROR, str(error))
    except KeyboardInterrupt:
        return EXIT_SIGNAL_BASE + signal.SIGINT
    except BrokenPipeError:
        return _reader_is_gone()
    except SystemExit as left:
        # Both rich and click leave with 1 when nobody reads what they print.
        return _reader_is_gone() if left.code == 1 else EXIT_ERROR
    except Exception as error:
        if _is_usage(error):
            return _fail(EXIT_USAGE, _usage_line(error, arguments))
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.filename:
            return _fail(EXIT_ERROR, f"{error.filename}: {error.strerror}")
        hint = "" if debug else "; `tallystick --debug …` shows where"
        return _fail(EXIT_ERROR, f"{type(error).__name__}: {_first_line(error)}{hint}")
    return code if isinstance(code, int) else 0


def _app_for(arguments: Sequence[str]) -> typer.Typer:
    asked = next((word for word in arguments if not word.startswith("-")), "")
    app = typer.Typer(
        name="tallystick",
        help=ROOT_HELP,
        epilog=ROOT_EPILOG,
        add_completion=False,
        # Plain help needs no rich, which takes longer to import than all the rest.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    )
    app.callback(help=ROOT_HELP)(_root)
    for verb in VERBS:
        target = _load(verb.place) if verb.name == asked else None
        if target is None:
            app.command(verb.name, help=verb.help)(_not_asked_for)
        elif verb.group:
            app.add_typer(target, name=verb.name, help=verb.help)
        else:
            app.command(verb.name)(target)
    return app


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _print_version(asked: bool) -> None:
    if asked:
        from harness.provision.environment import tallystick_info

        typer.echo(f"tallystick {tallystick_info().version}")
        raise typer.Exit(0)


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an unforeseen error.")
    ] = False,
) -> None:
    """Take the options that stand before a verb; `run_cli` looks for --debug itself."""


def _not_asked_for() -> None:
    raise AssertionError("only the verb that was asked for is called")


def _is_usage(error: Exception) -> bool:
    # Typer carries its own copy of click, whose classes have moved between versions.
    return getattr(error, "exit_code", None) == EXIT_USAGE and hasattr(error, "format_message")


def _usage_line(error: Any, arguments: Sequence[str]) -> str:
    told = " ".join(hide_secrets(str(error.format_message()).split()))
    names = [verb.name for verb in VERBS]
    asked = next((word for word in arguments if not word.startswith("-")), "")
    if asked and asked not in names:
        return f"no verb {asked!r}{did_you_mean(asked, names)} (all: {', '.join(names)})"
    if asked == "verify" and (place := next((w for w in arguments if w.endswith(".py")), "")):
        return f"did you mean `tallystick run {place}`? (or `verify --only {place}`)"
    return f"{told} (`tallystick {f'{asked} ' if asked else ''}--help` says what is allowed)"


def _fail(code: int, line: str) -> int:
    sys.stderr.write(f"tallystick: {line}\n")
    return code


def _first_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error).strip().splitlines() or ["no message"])[0]


def _reader_is_gone() -> int:
    # `tallystick list | head` closes our output; Python would complain once more at its exit.
    sys.stdout = open("/dev/null", "w")  # noqa: SIM115
    return EXIT_SIGNAL_BASE + signal.SIGPIPE
