"""From a user's words to a checked request: parameters, limits, seed, files.

The command line, the pytest plugin and the Python interface all come through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.errors import UsageError
from harness.nearest import did_you_mean
from harness.report.result import INTEGER_LIMIT
from harness.run.limits import parse as parse_limit
from harness.run.limits import parse_option
from harness.run.request import RunRequest
from harness.scenario.loader import LoadedScenario, load_file
from harness.scenario.parameters import Parameters, resolve
from harness.user_code import where

KEEP_HISTORY = ("always", "on-failure", "never")


def make_request(
    loaded: LoadedScenario,
    place: str,
    *,
    profile: str,
    seed: int,
    assignments: Mapping[str, str],
    system: str,
    run_dir: Path,
    command: str,
    keep_history: str,
    limits: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    charts: bool = False,
) -> RunRequest:
    """Return the request of a run.

    Raises:
        UsageError: A parameter or limit of the plan is not one.
    """
    return RunRequest(
        loaded=loaded,
        place=place,
        parameters=checked_parameters(loaded, profile, assignments, seed),
        assignments=assignments,
        profile=profile,
        seed=seed,
        system=system,
        run_dir=run_dir,
        command=command,
        keep_history=keep_history,
        limits=limits,
        files=files,
        charts=charts,
    )


def checked_parameters(
    loaded: LoadedScenario, profile: str, assignments: Mapping[str, str], seed: int = 0
) -> Parameters:
    """Return the values of a run after making its plan once, so that mistakes come first.

    Raises:
        UsageError: A parameter or limit is not one; says what is allowed.
    """
    parameters = resolve(loaded.scenario.parameters, profile, assignments, seed)
    plan = loaded.scenario.plan_for(parameters)
    for text in (*plan.limits, *plan.optional_limits):
        try:
            parse_limit(text)
        except UsageError as error:
            place = where(loaded.scenario.plan) or loaded.source
            raise UsageError(f"{place}: {error}") from None
    return parameters


def load_files(places: list[str]) -> tuple[str, ...]:
    """Run the files that ``--load`` names, for what they register, and return their names.

    Raises:
        UsageError: One is not there, or raises.
    """
    for place in places:
        load_file(place)
    return tuple(places)


def checked_limits(texts: list[str]) -> tuple[str, ...]:
    """Return ``--limit`` options as limits.

    Raises:
        UsageError: One is none, or a metric is limited twice in one direction.
    """
    found = [parse_option(text) for text in texts]
    sides = [(one.metric, one.op[0]) for one in map(parse_limit, found)]
    for side in sides:
        if sides.count(side) > 1:
            raise UsageError(f"--limit {side[0]} is given twice")
    return tuple(found)


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """Return ``--set`` options as a mapping.

    Raises:
        UsageError: One is not ``key=value``, or a key is set twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"--set {text!r}: write key=value")
        if key in found:
            raise UsageError(f"--set {key} is given twice")
        found[key] = value.strip()
    return found


def check_seed(seed: int) -> int:
    """Return the seed.

    Raises:
        UsageError: It is not in 0 … 2^53 - 1.
    """
    if not 0 <= seed < INTEGER_LIMIT:
        raise UsageError(f"--seed {seed}: a whole number from 0 up to {INTEGER_LIMIT - 1}")
    return seed


def check_keep_history(word: str) -> str:
    """Return the word.

    Raises:
        UsageError: It is none of `KEEP_HISTORY`.
    """
    if word not in KEEP_HISTORY:
        hint = did_you_mean(word, KEEP_HISTORY)
        raise UsageError(f"--keep-history {word!r}: one of {', '.join(KEEP_HISTORY)}{hint}")
    return word
