"""`schedule.json`: what was decided before a run, and all that a judge needs beside its history.

It is written before anything starts. `tallystick check` folds the history again with it, so nothing
that a verdict depends on lies anywhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import DamagedHistory
from harness.load.payloads import Bodies
from harness.report.result import Drawn, Environment, NotTried, RunInfo, SystemInfo
from harness.report.writer import write_atomically
from harness.scenario.scenario import PayloadSpec

SCHEDULE_NAME = "schedule.json"


class RequiresBrief(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must have happened for the run to count; see `harness.scenario.scenario.Requires`."""

    sends_ok: int = 1
    delivered: int = 1
    sender_reconnects: int = 0
    receiver_reconnects: int = 0
    sender_reconnects_each: int = 0
    receiver_reconnects_each: int = 0
    resizes: int = 0
    own_resizes: int = 0
    fault_effects: int = 0
    resent: int = 0
    backlog: int = 0


class BegunBrief(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the result said of run, system and machine when the run began."""

    run: RunInfo
    system: SystemInfo
    environment: Environment
    notes: list[str]


class Brief(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run as it was decided.

    `faults` are the planned faults as `harness.faults.schedule.to_json` writes them, phase by
    phase, each with its `targets`: what its pattern fits, as far as the plan tells. `route` is the
    published bucket route, "" for none; `presence_bound_s` the promised time in which presence
    becomes right; `delivery_within_s` the promised time in which a reader that waits is delivered,
    latencies included, 0 for no promise; `trims`: the store may drop what was acknowledged.
    `place`, `files` and `source_sha256` say where the scenario came from, for `tallystick replay`.
    `payload` says how the content of a message follows from its id and the seed, `payloads` the
    same of the inboxes that the seed drew. `drawn` is all that it drew beside the plan, and
    `extra_actors` the senders and receivers of that.
    `promotions`: how many promotions are planned, None in a run before they were counted here.
    `churns`: whose churn is planned ("sender", "receiver").
    `checks` carry the claim, as far as the system promises what they judge. `not_tried`: what was
    left out since the system cannot have it. All of it is as fitted to the system.
    `parameters` are the scenario's, None in a run before they were written here. `planted_bug` is
    what the self-test put into the system, "" in every other run. `begun` is what the result said
    at the begin, None in a run before it was written here.
    """

    schema: Literal["tallystick.schedule/1.0"] = "tallystick.schedule/1.0"
    run_id: str
    scenario: str
    seed: int
    system: str
    promises: list[str]
    payload: Bodies
    requires: RequiresBrief
    limits: list[str]
    faults: list[list[dict[str, Any]]]
    phases: list[str]
    route: str
    presence_bound_s: float
    trims: bool
    delivery_within_s: float = 0.0
    promotions: int | None = None
    churns: list[str] = []
    checks: list[str] = []
    not_tried: list[NotTried] = []
    place: str = ""
    files: list[str] = []
    source_sha256: str = ""
    parameters: dict[str, int | float | str | bool] | None = None
    planted_bug: str = ""
    begun: BegunBrief | None = None
    payloads: dict[str, Bodies] = {}
    drawn: list[Drawn] = []
    extra_actors: list[str] = []


def bodies_of(payload: PayloadSpec) -> Bodies:
    """Return the content of messages as plain data."""
    return Bodies(
        kind=payload.kind,
        size_bytes_min=payload.size_bytes_min,
        size_bytes_max=payload.size_bytes_max,
        sizes_bytes=payload.sizes_bytes,
        rare_bytes=payload.rare_bytes,
        rare_every=payload.rare_every,
    )


def write_brief(run_dir: Path, brief: Brief) -> None:
    """Write the brief into the run folder."""
    write_atomically(run_dir / SCHEDULE_NAME, msgspec.json.format(msgspec.json.encode(brief)))


def read_brief(run_dir: Path) -> Brief:
    """Return the brief of a run folder.

    Raises:
        DamagedHistory: It is missing or not what was written.
    """
    path = run_dir / SCHEDULE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Brief)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise DamagedHistory(f"{path}: {error}") from error
