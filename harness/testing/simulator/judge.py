"""The checks of a real run over the history of a simulated one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.checkers.fold import fold
from harness.checkers.run_facts import RunFacts
from harness.load.payloads import Payloads
from harness.report.result import CheckStatus
from harness.scenario.scenario import Requires
from harness.systems.reference.adapter import ReferenceSystem
from harness.testing.simulator.plan import Plan
from harness.testing.simulator.world import (
    PAYLOAD_BYTES_MAX,
    PRESENCE_WAIT_NS,
    Factories,
    Simulated,
    World,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong with one simulation.

    Attributes:
        failed: Reasons by id of the check that failed, a broken check included.
        stuck: Why it did not drain, "" if it did.
    """

    failed: dict[str, str]
    stuck: str

    @property
    def fine(self) -> bool:
        """Nothing is wrong."""
        return not self.failed and not self.stuck

    def __str__(self) -> str:
        parts = [f"{check}: {reason}" for check, reason in self.failed.items()]
        if self.stuck:
            parts.append(f"stuck: {self.stuck}")
        return "; ".join(parts) or "nothing is wrong"


def simulate(
    plan: Plan,
    factories: Factories | None = None,
    trace: Callable[[str], None] | None = None,
) -> Finding:
    """Run a plan and judge its history."""
    return judge(plan, World(plan, factories, trace).run())


def judge(plan: Plan, simulated: Simulated) -> Finding:
    """Return what the checks find in a simulation's history."""
    payloads = Payloads(plan.seed, size_bytes_min=1, size_bytes_max=PAYLOAD_BYTES_MAX)
    run = RunFacts(
        promises=ReferenceSystem.promises,
        requires=Requires(sends_ok=0, delivered=0),
        expected_digest=payloads.expected_digest,
        route="splitmix64-xxh3",
        presence_bound_ns=PRESENCE_WAIT_NS,
        trims=plan.trims,
    )
    # What a run does to links between nodes it writes down: that makes redeliveries right.
    records = sorted([*simulated.records, *simulated.deafened], key=lambda record: record.t_ns)
    judgement = fold(records, run)
    failed = {
        check.id: check.reason
        for check in judgement.checks
        if check.status in (CheckStatus.FAIL, CheckStatus.ERROR)
    }
    loss = next(check for check in judgement.checks if check.id == "A1")
    unproven = loss.reason if loss.status is CheckStatus.UNKNOWN and loss.examined else ""
    return Finding(failed=failed, stuck=simulated.stuck or unproven)
