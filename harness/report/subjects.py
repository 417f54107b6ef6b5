"""What a result is about, so that repeats are told from other runs and each finds its counterpart.

Runs of one scenario on one system, with its options, in one profile and with one set of parameters
are repeats of each other; anything else is another subject. Pure.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.report.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was run. `system` is the place that was asked for, its options included."""

    scenario: str
    system: str
    profile: str
    parameters: tuple[tuple[str, int | float | str | bool], ...]


Runs = Mapping[Subject, Sequence[Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The subjects of two sides, as (name, runs of A, runs of B), and the names of the others."""

    pairs: list[tuple[str, Sequence[Result], Sequence[Result]]]
    only_a: list[str]
    only_b: list[str]


def subject_of(result: Result) -> Subject:
    """Return what a result is about."""
    return Subject(
        scenario=result.run.scenario,
        system=result.system.place or _asked_for(result) or result.system.name,
        profile=result.run.profile,
        parameters=tuple(sorted(result.run.parameters.items())),
    )


def _asked_for(result: Result) -> str:
    """Return the system of a result before 1.2: what its command to repeat says, if anything."""
    words = shlex.split(result.run.repeat_command)
    asked = [after for word, after in pairwise(words) if word == "--system"]
    return asked[-1] if asked else ""


def by_subject(results: Iterable[Result]) -> dict[Subject, list[Result]]:
    """Gather the repeats."""
    found: dict[Subject, list[Result]] = defaultdict(list)
    for result in results:
        found[subject_of(result)].append(result)
    return dict(found)


def match(a: Iterable[Result], b: Iterable[Result]) -> Matching:
    """Find the counterparts: the closest ones first.

    Equal subjects belong together. Of what is left, one on each side belong together that share
    scenario, system and profile (a parameter was changed), then scenario, profile and parameters
    (one system against another), then less of it, as long as either side has only one; in the end
    two that are alone on their sides.
    """
    left_a, left_b = by_subject(a), by_subject(b)
    everything = [*left_a, *left_b]
    found: list[tuple[Subject, Subject, Sequence[Result], Sequence[Result]]] = []
    likenesses: tuple[Callable[[Subject], Hashable], ...] = (
        lambda one: one,
        lambda one: (one.scenario, one.system, one.profile),
        lambda one: (one.scenario, one.profile, one.parameters),
        lambda one: (one.scenario, one.profile),
        lambda one: one.scenario,
    )
    for likeness in likenesses:
        alike_b = _alone(left_b, likeness)
        for key, one in _alone(left_a, likeness).items():
            if (other := alike_b.get(key)) is not None:
                found.append((one, other, left_a.pop(one), left_b.pop(other)))
    if not found and len(left_a) == len(left_b) == 1:
        ((one, of_a),), ((other, of_b),) = left_a.items(), left_b.items()
        left_a, left_b = {}, {}
        found.append((one, other, of_a, of_b))
    found.sort(key=lambda pair: everything.index(pair[0]))
    return Matching(
        pairs=[(_pair_name(x, y, everything), runs, others) for x, y, runs, others in found],
        only_a=sorted(_name(one, everything) for one in left_a),
        only_b=sorted(_name(one, everything) for one in left_b),
    )


def _alone(runs: Runs, likeness: Callable[[Subject], Hashable]) -> dict[Hashable, Subject]:
    """Return the subjects that no other of their side is like."""
    groups: dict[Hashable, list[Subject]] = defaultdict(list)
    for subject in runs:
        groups[likeness(subject)].append(subject)
    return {key: group[0] for key, group in groups.items() if len(group) == 1}


def _pair_name(a: Subject, b: Subject, everything: Sequence[Subject]) -> str:
    if a.scenario != b.scenario:
        return f"{a.scenario} / {b.scenario}"
    if a == b:
        return _name(a, everything)
    told = [f"{a.system} / {b.system}"] if a.system != b.system else []
    told += [pair for pair in _set_apart(a, everything) if pair in _set_apart(b, everything)]
    return _with(a.scenario, told)


def _name(one: Subject, everything: Sequence[Subject]) -> str:
    """Return the scenario's name, and whatever tells its subjects apart."""
    others = {other for other in everything if other.scenario == one.scenario} - {one}
    told = []
    if any(other.system != one.system for other in others):
        told.append(one.system)
    others = {other for other in others if other.system == one.system}
    if any(other.profile != one.profile for other in others):
        told.append(one.profile)
    return _with(one.scenario, told + _set_apart(one, everything))


def _set_apart(one: Subject, everything: Sequence[Subject]) -> list[str]:
    """Return the parameters by which a subject differs from those that are alike in all else."""
    changed = {
        pair
        for other in everything
        if replace(other, parameters=one.parameters) == one
        for pair in set(one.parameters) - set(other.parameters)
    }
    return [f"{name}={value}" for name, value in sorted(changed)]


def _with(scenario: str, told: Sequence[str]) -> str:
    return f"{scenario} ({', '.join(told)})" if told else scenario
