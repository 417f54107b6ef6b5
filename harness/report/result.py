"""The result of a run and of a suite: what programs read (`tallystick schema` prints the schema).

Everything is a plain value, immutable and decoded strictly (`harness.report.codec`). Any change of
keys changes the version: an added key the part behind the dot, anything else the part before it.
Numbers stay below 2^53 and are finite, since JSON readers in other languages damage others; 64-bit
ids are strings. Times ending in ``_ns`` count from the start of the run on the host's monotonic
clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

RESULT_SCHEMA = "tallystick.result/1.3"
SUITE_SCHEMA = "tallystick.suite/1.1"

INTEGER_LIMIT = 2**53
"""Whole numbers stay below it: beyond it a double, hence JavaScript and jq, loses digits."""

Seed = Annotated[int, msgspec.Meta(ge=0, lt=INTEGER_LIMIT)]
Count = Annotated[int, msgspec.Meta(ge=0, lt=INTEGER_LIMIT)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class Status(StrEnum):
    """How a run, a shard or a check ended. `harness.run.verdict` merges them."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    ERROR = "ERROR"


class CheckStatus(StrEnum):
    """How a check ended; NOT_APPLICABLE is what the system does not promise."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    ERROR = "ERROR"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class Limits(StrEnum):
    """Whether the thresholds on speed and liveness were met; NONE: there were none."""

    MET = "MET"
    MISSED = "MISSED"
    NONE = "NONE"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdict of a run or a suite.

    `reason_code` is for programs (one word, stable), `reason` one sentence for people.
    """

    status: Status
    reason_code: str
    reason: str
    limits: Limits
    exit_code: int


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run this was and how to repeat it.

    `repeat_command` repeats the schedule of load and faults, not the interleaving. `started_at` and
    `ended_at` are RFC 3339 in UTC; a run that was cut off has no `ended_at`.
    """

    id: str
    scenario: str
    scenario_source: str
    claim: str
    profile: str
    seed: Seed
    parameters: dict[str, int | float | str | bool]
    started_at: str
    ended_at: str | None = None
    duration_s: float = 0.0
    command: str
    repeat_command: str


class SystemInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The system under test, what it promises and how it was set up.

    `place` is how it was asked for, its options included, as in ``nats?sync_interval=2m``; empty in
    results before 1.2. `planted_bug` names a bug that was put in on purpose; null in every honest
    run.
    """

    name: str
    version: str
    place: str = ""
    promises: list[str]
    abilities: list[str]
    config: dict[str, Any] = {}
    planted_bug: str | None = None


class TallystickInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Tallystick judged. `commit` is empty outside a git checkout."""

    version: str
    commit: str = ""
    dirty: bool = False


class ToxiproxyInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Toxiproxy server stood in every link, and where it came from."""

    version: str
    sha256: Sha256
    source: str


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine. `flags` says what is odd about it (tmpfs, overlay, few file descriptors)."""

    os: str
    python: str
    tallystick: TallystickInfo
    toxiproxy: ToxiproxyInfo | None
    cpu_count: int
    memory_bytes: Count
    filesystem: str
    fsync_ms_p50: float | None
    flags: list[str] = []


class Sends(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages by the outcome of their send; `info` is "unknown whether it took effect"."""

    ok: Count = 0
    fail: Count = 0
    info: Count = 0


class Lost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged and never delivered, by place in the sender's sequence."""

    total: Count = 0
    prefix: Count = 0
    middle: Count = 0
    suffix: Count = 0


class Reconnects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often connections came back during the run."""

    sender: Count = 0
    receiver: Count = 0


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages, by what became of them.

    `delivered` counts distinct messages, `redelivered` deliveries beyond the first of each,
    `recovered` messages whose send ended info and that were delivered, `unresolved` those that
    ended info and were not.
    """

    sends: Sends = Sends()
    delivered: Count = 0
    redelivered: Count = 0
    lost: Lost = Lost()
    duplicated: Count = 0
    reordered: Count = 0
    unresolved: Count = 0
    recovered: Count = 0
    reconnects: Reconnects = Reconnects()


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What zero losses of n support, and no more (`harness.run.bound`).

    The rates are upper bounds at 95 % confidence if losses were independent; they come by batch and
    by crash, hence the same per commit and per kill (null where there was none).
    """

    messages: Count
    loss_rate_max_95: float
    nines: int
    commits: Count
    commit_loss_rate_max_95: float | None = None
    kills: Count
    kill_loss_rate_max_95: float | None = None
    under: str
    formula: str


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A latency distribution in milliseconds, counted from the intended start of each send."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    count: Count


class Latencies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Intended start to acknowledgement, and to first delivery; null where nothing was measured."""

    ack: Latency | None = None
    delivery: Latency | None = None


class LoadLatency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latencies of the watched inboxes in all loads of one label together (E2).

    Watched are the inboxes that were sent to in loads labelled "baseline"; the ratios are those of
    p99 to the baseline's, null for the baseline itself.
    """

    label: str
    ack: Latency | None = None
    delivery: Latency | None = None
    ack_p99_ratio: float | None = None
    delivery_p99_ratio: float | None = None


class Throughput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages per second over the time in which there were any.

    `offered` counts what the schedules wanted sent, `never_offered` messages of it among them that
    the load generator did not come to hand over; the others it handed over at most `late_max_ms`
    after they were due.
    """

    offered: float = 0.0
    acknowledged: float = 0.0
    delivered: float = 0.0
    never_offered: Count = 0
    late_max_ms: float = 0.0


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records that prove an anomaly.

    `history_ref` says where the first lies, e.g. ``history/0003.msgpack#17``; `message` is what
    ``tallystick history RESULT --message`` takes: producer/inbox/n, or inbox@pos where no id is
    known, or nothing.
    """

    summary: str
    records: list[dict[str, Any]] = []
    history_ref: str = ""
    message: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One anomaly and whether it occurred.

    `examined` counts what was looked at, `instances` all anomalies found; `witnesses` holds the
    first of them and `witnesses_truncated` says that there were more.
    """

    id: str
    name: str
    status: CheckStatus
    reason: str = ""
    examined: Count = 0
    instances: Count = 0
    witnesses: list[Witness] = []
    witnesses_truncated: bool = False


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counted for the verdict besides the checks: a stuck drain, a bypassed link, our fault.

    `status` is UNKNOWN or ERROR; only a check can FAIL a system.
    """

    status: Status
    reason_code: str
    reason: str


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A threshold on speed or liveness. `measured` is null if nothing was measured (not met)."""

    metric: str
    op: str
    limit: float
    measured: float | None
    met: bool


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the fault journal: what was asked for, when it held, what it did."""

    id: str
    kind: str
    target: str
    parameters: dict[str, Any] = {}
    requested_ns: int
    confirmed_ns: int | None = None
    healed_ns: int | None = None
    effect: dict[str, float] = {}
    effective: bool


class Process(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a process used over all its restarts; µs per message over delivered messages."""

    role: str
    index: int
    cpu_s: float
    cpu_us_per_message: float | None
    rss_max_bytes: Count
    restarts: int = 0


class Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the run folder, by its path relative to `result.json`."""

    path: str
    sha256: Sha256
    bytes: Count


class EpochLoads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many messages each bucket of one epoch holds, as read from the store."""

    epoch: int
    bucket_count: int
    messages: Count
    loads: list[int]


class InboxBuckets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bucket loads of an inbox, by epoch."""

    inbox: str
    epochs: list[EpochLoads]


class LinkCoverage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went through a proxy against what those behind it counted themselves.

    `covered` is false if somebody went around the proxy; that makes the run UNKNOWN. A link is
    covered where `forwarded` is at least `connections_counted` and `bytes_down` at least
    `bytes_counted`: what was written to a client that was cut it need not have read.

    Attributes:
        link: Its name.
        connections: Connections that the proxy accepted, without those of the harness's probes.
        forwarded: Those among them for which the upstream answered; None before 1.3.
        connections_counted: Answered connections, as those who opened them counted.
        bytes: `bytes_up` and `bytes_down` together.
        bytes_up: Bytes written to the upstream, told and not compared; None before 1.3.
        bytes_down: Bytes written to those who connected; None before 1.3.
        bytes_counted: Bytes that those who connected have read, as they counted.
        counted: Whether anybody counted; where nobody did, something must have gone through.
        covered: Nobody went around the proxy.
    """

    link: str
    connections: Count
    forwarded: int | None = None
    connections_counted: Count
    bytes: Count
    bytes_up: Count | None = None
    bytes_down: int | None = None
    bytes_counted: Count
    counted: bool = True
    covered: bool


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`result.json`: one run.

    It is written when the run starts, with `complete` false and the verdict ERROR, and replaced at
    the end: a run that was cut off says so, and can never be read as a pass.
    """

    schema: Literal[
        "tallystick.result/1.0",
        "tallystick.result/1.1",
        "tallystick.result/1.2",
        "tallystick.result/1.3",
    ] = "tallystick.result/1.3"
    complete: bool
    verdict: Verdict
    run: RunInfo
    system: SystemInfo
    environment: Environment
    counts: Counts = Counts()
    bound: Bound | None = None
    latency_ms: Latencies = Latencies()
    load_latency_ms: list[LoadLatency] = []
    throughput_per_s: Throughput = Throughput()
    checks: list[Check] = []
    findings: list[Trouble] = []
    limits: list[Limit] = []
    faults: list[Fault] = []
    processes: list[Process] = []
    buckets: list[InboxBuckets] = []
    coverage: list[LinkCoverage] = []
    notes: list[str] = []
    artifacts: list[Artifact] = []


class SuiteScenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario of a suite. `result` is the path of its result file, from `suite.json`."""

    name: str
    status: Status
    limits: Limits
    reason: str
    duration_s: float
    result: str


class NotApplicable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario that the system lacks an ability for."""

    name: str
    reason: str


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`suite.json`: several runs, one folder each beside it.

    `not_run` lists what an earlier failure left out (`--fail-fast`, `--until-fail`).
    """

    schema: Literal["tallystick.suite/1.0", "tallystick.suite/1.1"] = "tallystick.suite/1.1"
    complete: bool
    verdict: Verdict
    profile: str
    seed: Seed
    environment: Environment
    scenarios: list[SuiteScenario] = []
    not_applicable: list[NotApplicable] = []
    not_run: list[NotApplicable] = []
