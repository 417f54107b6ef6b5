"""Tries the cases one after the other and says how each ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from harness.conform.bench import Bench, on_bench, topology_of
from harness.conform.broken import Broken
from harness.conform.case import Case, Ended
from harness.systems.port import System, promises_in
from harness.systems.topology import Topology

CASE_WITHIN_S = 90.0
"""Deadline of one case, in which a node may start twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How a case ended. `told` is what was seen, or why it was not tried."""

    case: Case
    ended: Ended
    told: str = ""
    took_s: float = 0.0


async def try_all(
    system: System,
    cases: Sequence[Case],
    toxiproxy: Path,
    run_dir: Path,
    seed: int,
    tried: Callable[[Tried], object],
) -> list[Tried]:
    """Deploy the system, once per retention that the cases ask for, and try them on it.

    Raises:
        HarnessError: It could not be deployed.
    """
    found: list[Tried] = []

    def tell(ended: Tried) -> None:
        found.append(ended)
        tried(ended)

    for retention in dict.fromkeys(one.retention for one in cases):
        topology = topology_of(retention)
        asked: list[Case] = []
        for one in (one for one in cases if one.retention == retention):
            if lack := _lack(one, system, topology):
                tell(Tried(case=one, ended=Ended.NOT_APPLICABLE, told=lack))
            else:
                asked.append(one)
        if asked:
            folder = run_dir / f"retention-{retention}"
            async with on_bench(system, toxiproxy, folder, seed, topology) as bench:
                for one in asked:
                    tell(await _try(bench, one))
    return found


def _lack(one: Case, system: System, topology: Topology) -> str:
    """Return why a case is not asked of a system, "" if it is."""
    if missing := one.promises - promises_in(system, topology):
        return f"not promised: {_words(missing)}"
    if missing_abilities := one.abilities - system.abilities:
        return f"no ability: {_words(missing_abilities)}"
    return ""


async def _try(bench: Bench, one: Case) -> Tried:
    begun_s = time.monotonic()
    ended, told = Ended.PASS, ""
    try:
        with anyio.fail_after(CASE_WITHIN_S):
            told = await one.body(bench) or ""
    except Broken as broken:
        ended, told = Ended.FAIL, str(broken)
    except TimeoutError:
        ended, told = Ended.FAIL, f"not done within {CASE_WITHIN_S:g} s"
    except Exception as error:
        # An adapter may raise anything; one case that breaks must not hide the others.
        ended, told = Ended.ERROR, f"{type(error).__name__}: {error}"
    return Tried(case=one, ended=ended, told=told, took_s=time.monotonic() - begun_s)


def _words(names: frozenset[str] | frozenset[object]) -> str:
    return ", ".join(sorted(map(str, names)))
