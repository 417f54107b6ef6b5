"""Which scenarios a profile runs, and with which plan.

"smoke" is a named subset, the scenarios that say `smoke=True`; "standard" and "nightly" run all.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.scenario.loader import LoadedScenario
from harness.scenario.parameters import resolve
from harness.scenario.scenario import Plan

SMOKE = "smoke"


def suite_of(profile: str, scenarios: Iterable[LoadedScenario]) -> list[LoadedScenario]:
    """Return those of the scenarios that belong to the suite of a profile, in their order."""
    return [loaded for loaded in scenarios if profile != SMOKE or loaded.scenario.smoke]


def plan_of(loaded: LoadedScenario, profile: str) -> Plan:
    """Return the plan with a profile's values, as seed 0 makes it.

    Raises:
        UsageError: There is no such profile.
    """
    return loaded.scenario.plan_for(resolve(loaded.scenario.parameters, profile, {}))
