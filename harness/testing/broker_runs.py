"""Whole runs on real brokers, as the tests of each adapter need them."""

from __future__ import annotations

from pathlib import Path

from harness.cli.main import run_cli
from harness.report.codec import decode_result
from harness.report.result import Check, CheckStatus, Result

TROUBLE = '''
"""Messages wait while the broker is killed; then links are reset and it is killed under load."""
from tallystick import (
    Drain, LinkReset, Load, Login, Parameter, PayloadSpec, Plan, ProcessKill, Requires, Restart,
    Scenario, Send, Stream, Topology, at,
)

INBOXES = ("ann", "bob the 2nd")  # The second name has what broker's names cannot have.


def plan(p):
    waiting = Stream(to=INBOXES, producers=2, count=p.waiting, batch_count=10)
    before = (Send(stream=waiting), Restart(role="core", kill=True)) if p.waiting else ()
    times = (0.5, 0.8, 1.2, 1.6)[: p.resets]
    faults = [at(at_s, LinkReset(), on=f"client-edge:near:{p.whom}*") for at_s in times]
    if p.kill:
        faults.append(at(1.2, ProcessKill(), on="core"))
    return Plan(
        topology=Topology(edges=("near",), latency_ms={"near": p.latency_ms}),
        phases=(
            *before,
            Login(inboxes=INBOXES),
            Load(
                duration_s=2.0,
                streams=(Stream(to=INBOXES, producers=4, rate_per_s=400.0, batch_count=5),),
                faults=tuple(faults),
            ),
            Drain(within_s=30.0),
        ),
        payload=PayloadSpec(size_bytes_min=1, size_bytes_max=300),
        requires=Requires(sends_ok=600, delivered=300,
                          fault_effects=len(faults)),
    )


SCENARIO = Scenario(
    name="trouble",
    claim="Nothing is lost.",
    plan=plan,
    parameters=(
        Parameter(name="waiting", default=60, unit="messages", help="Per sender, unread."),
        Parameter(name="resets", default=1, unit="", help="How often links are reset."),
        Parameter(name="whom", default="", unit="", choices=("", "reader-", "sender-"),
                  help="Whose links: everybody's, or those of one sort."),
        Parameter(name="latency_ms", default=5, unit="ms", help="One way."),
        Parameter(name="kill", default=1, unit="", help="Whether the broker is killed too."),
    ),
)
'''

SEED = "11"


def run_trouble(
    folder: Path, system: str, *more: str, **parameters: int | str
) -> tuple[int, Result]:
    """Run the scenario on a system, with more words and parameters; return exit code and result."""
    scenario = folder / "trouble.py"
    scenario.write_text(TROUBLE)
    out = folder / "out"
    words = ["run", str(scenario), "--seed", SEED, "--system", system, "--out", str(out), *more]
    for name, value in parameters.items():
        words += ["--set", f"{name}={value}"]
    code = run_cli(words)
    return code, decode_result((out / "result.json").read_bytes())


def check_of(result: Result, check: str) -> Check:
    """Return one check of a result."""
    return next(one for one in result.checks if one.id == check)


def failed_checks(result: Result) -> list[str]:
    """Return the ids of the checks that failed."""
    return [check.id for check in result.checks if check.status is CheckStatus.FAIL]
