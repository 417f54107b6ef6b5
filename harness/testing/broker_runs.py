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
    times = [p.duration_s * share for share in (0.25, 0.4, 0.6, 0.8)[: p.resets]]
    faults = [at(at_s, LinkReset(), on=f"client-edge:near:{p.whom}*") for at_s in times]
    if p.kill:
        faults.append(at(0.6 * p.duration_s, ProcessKill(), on="core"))
    return Plan(
        vary=False,
        topology=Topology(edges=("near",), latency_ms={"near": p.latency_ms}),
        phases=(
            *before,
            Login(inboxes=INBOXES),
            Load(
                duration_s=p.duration_s,
                streams=(Stream(to=INBOXES, producers=4, rate_per_s=400.0, batch_count=5),),
                faults=tuple(faults),
            ),
            Drain(within_s=30.0),
        ),
        payload=PayloadSpec(size_bytes_min=1, size_bytes_max=300),
        requires=Requires(sends_ok=600, delivered=300, resent=p.resent,
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
        Parameter(name="duration_s", default=2.0, unit="s", help="How long the load lasts."),
        Parameter(name="latency_ms", default=5, unit="ms", help="One way."),
        Parameter(name="resent", default=0, unit="messages", help="Sent again at least."),
        Parameter(name="kill", default=1, unit="", help="Whether the broker is killed too."),
    ),
)
'''

LOST_TAIL = '''
"""The broker is killed while messages wait, and one log's last byte was never on the disk."""
from dataclasses import dataclass
from pathlib import Path

from tallystick import Drain, Kill, Login, Plan, Requires, Scenario, Send, Start, Stream, Topology

INBOXES = ("cut_inbox", "whole_inbox")


@dataclass(frozen=True)
class CutLog:
    """Cut the last byte off the only segment of Kafka's log of an inbox."""

    name = "cut_log"
    performs = (Kill(role="core"), Start(role="core"))

    async def carry_out(self, hands):
        settings = hands.deployment.config["server_config"].splitlines()
        folder = next(line.partition("=")[2] for line in settings if line.startswith("log.dirs="))
        (segment,) = Path(folder).glob("*-cut.5f.inbox-0/*.log")
        await hands.perform(Kill(role="core"))
        with segment.open("r+b") as file:
            file.truncate(segment.stat().st_size - 1)
        await hands.perform(Start(role="core"))


SCENARIO = Scenario(
    name="lost_tail",
    claim="Nothing is lost.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("near",)),
        phases=(
            Send(stream=Stream(to=INBOXES, producers=4, count=50, batch_count=10)),
            CutLog(),
            Login(inboxes=INBOXES),
            Drain(within_s=30.0),
        ),
        requires=Requires(sends_ok=200, delivered=100),
    ),
)
'''

HAPPENING = '''
"""What a file says is done to the broker from outside while messages flow."""
import os
from dataclasses import dataclass

import anyio

from tallystick import (
    Drain, Load, Login, PayloadSpec, Plan, Requires, Scenario, Send, Stream, Topology,
)


@dataclass(frozen=True)
class Happening:
    name = "happening"

    async def carry_out(self, hands):
        await anyio.run_process(["sh", os.environ["HAPPENING"]])


SCENARIO = Scenario(
    name="happening",
    claim="Nothing is lost.",
    plan=Plan(
        topology=Topology(edges=("near",)),
        phases=(
            Login(inboxes=("ann",)),
            Send(stream=Stream(to=("ann",), producers=1, count=20, batch_count=10)),
            Happening(),
            Load(
                duration_s=2.0,
                streams=(Stream(to=("ann", "bob"), producers=2, rate_per_s=200.0, batch_count=5),),
            ),
            Drain(within_s=60.0, stuck_after_s=40.0),
        ),
        payload=PayloadSpec(size_bytes_min=1_000, size_bytes_max=1_000),
        requires=Requires(sends_ok=1),
    ),
)
'''

SEEDS = (11, 12, 13)
"""Settings that lose must be found to lose every time, not with a seed that was chosen for it."""


def run_trouble(
    folder: Path,
    system: str,
    *more: str,
    seed: int = SEEDS[0],
    text: str = TROUBLE,
    **parameters: int | str,
) -> tuple[int, Result]:
    """Run a scenario on a system, with more words and parameters; return exit code and result."""
    scenario = folder / "trouble.py"
    scenario.write_text(text)
    out = folder / "out"
    words = ["run", str(scenario), "--seed", f"{seed}", "--system", system, "--out", str(out)]
    words += more
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
