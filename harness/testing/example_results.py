"""Example results: one of every shape that a report must be able to show."""

from __future__ import annotations

import msgspec

from harness.report import result as r
from harness.run import bound, verdict

_DIGEST = "0123456789abcdef" * 4

_NAMES = {
    "A1": "LOST", "A3": "PHANTOM", "A4": "ABORTED", "A5": "CORRUPT", "A6": "DIVERGENT",
    "A7": "DUP-LOG", "A10": "NONMONOTONIC", "A11": "SKIP-INTERNAL", "B4": "REALTIME",
    "D4": "ACCOUNT", "D5": "VACUOUS",
}  # fmt: skip


def _environment() -> r.Environment:
    return r.Environment(
        os="Linux 6.1",
        python="3.11.9",
        tallystick=r.TallystickInfo(version="0.1.0", commit="f00dfeed", dirty=True),
        toxiproxy=r.ToxiproxyInfo(version="2.12.0", sha256=_DIGEST, source="cache"),
        cpu_count=2,
        memory_bytes=8 << 30,
        filesystem="ext4",
        fsync_ms_p50=0.8,
        flags=[],
    )


def _passed_checks() -> list[r.Check]:
    checks = [
        r.Check(id=i, name=n, status=r.CheckStatus.PASS, examined=517_000)
        for i, n in _NAMES.items()
    ]
    checks.append(
        r.Check(
            id="B6",
            name="ORDER-DISAGREE",
            status=r.CheckStatus.NOT_APPLICABLE,
            reason="the system does not promise one order for several readers without positions",
        )
    )
    return checks


def passed() -> r.Result:
    """Return a run that passed and met its limit, with every part filled."""
    checks = _passed_checks()
    limits = [r.Limit(metric="ack_p99_ms", op="<=", limit=500.0, measured=212.4, met=True)]
    latency = r.Latency(p50=12.1, p90=40.0, p99=212.4, p999=1_210.0, max=2_503.0, count=517_000)
    return r.Result(
        complete=True,
        verdict=verdict.decide(checks, limits),
        run=r.RunInfo(
            id="20261123T231500Z-global_fan_in-4711",
            scenario="global_fan_in",
            scenario_source="built-in",
            claim="Nothing acknowledged is lost, doubled or reordered while everybody reconnects.",
            profile="standard",
            seed=4711,
            parameters={"messages": 517_000, "duration_s": 30.0, "vip": "messi", "reset": True},
            started_at="2026-11-23T23:15:00Z",
            ended_at="2026-11-23T23:15:42Z",
            duration_s=42.3,
            command="tallystick run global_fan_in --seed 4711",
            repeat_command="tallystick run global_fan_in --seed 4711 --profile standard",
        ),
        system=r.SystemInfo(
            name="reference",
            version="0.1.0",
            promises=["epoch_cut", "exactly_once_log"],
            abilities=["kill", "resize"],
            config={"edges": ["us-east"]},
        ),
        environment=_environment(),
        counts=r.Counts(
            sends=r.Sends(ok=517_000),
            delivered=517_000,
            redelivered=1_200,
            recovered=12,
            reconnects=r.Reconnects(sender=812, receiver=40),
        ),
        bound=bound.zero_of_n(messages=517_000, commits=4_210, kills=0),
        latency_ms=r.Latencies(ack=latency, delivery=latency),
        load_latency_ms=[
            r.LoadLatency(label="baseline", ack=latency, delivery=latency),
            r.LoadLatency(
                label="loud",
                ack=latency,
                delivery=latency,
                ack_p99_ratio=1.0,
                delivery_p99_ratio=1.0,
            ),
        ],
        throughput_per_s=r.Throughput(offered=17_233.0, acknowledged=17_230.0, delivered=17_102.0),
        checks=checks,
        limits=limits,
        faults=[
            r.Fault(
                id="f1",
                kind="reset_peer",
                target="edge-core eu-west",
                parameters={"timeout_ms": 0},
                requested_ns=5_000_000_000,
                confirmed_ns=5_004_000_000,
                healed_ns=6_100_000_000,
                effect={"connections_reset": 3.0},
                effective=True,
            )
        ],
        processes=[
            r.Process(
                role="core", index=0, cpu_s=1.2, cpu_us_per_message=2.3, rss_max_bytes=120 << 20
            ),
            r.Process(
                role="edge", index=0, cpu_s=0.4, cpu_us_per_message=0.8, rss_max_bytes=60 << 20
            ),
        ],
        buckets=[
            r.InboxBuckets(
                inbox="vip_user",
                epochs=[
                    r.EpochLoads(epoch=0, bucket_count=1, messages=100, loads=[100]),
                    r.EpochLoads(epoch=1, bucket_count=5, messages=10, loads=[3, 1, 2, 0, 4]),
                    r.EpochLoads(
                        epoch=2,
                        bucket_count=50,
                        messages=100_000,
                        loads=[1_951 + 2 * i for i in range(50)],
                    ),
                ],
            )
        ],
        coverage=[
            r.LinkCoverage(
                link="edge-core eu-west",
                connections=4,
                connections_counted=4,
                bytes=10_000,
                bytes_counted=10_000,
                covered=True,
            )
        ],
        notes=["5 edges, one core, all on loopback"],
        artifacts=[r.Artifact(path="schedule.json", sha256=_DIGEST, bytes=812)],
    )


def partly_tried() -> r.Result:
    """Return a run that passed without three things that were optional."""
    left = [
        r.NotTried(what="process_kill on core", why="nats: not ours", times=2),
        r.NotTried(what="promotion", why="nats has no ability 'resize'"),
    ]
    whole = passed()
    said = verdict.decide(whole.checks, whole.limits, not_tried=left)
    return msgspec.structs.replace(whole, verdict=said, not_tried=left)


def failed() -> r.Result:
    """Return a run that lost messages and reordered one, with witnesses."""
    base = passed()
    lost = r.Check(
        id="A1",
        name="LOST",
        status=r.CheckStatus.FAIL,
        reason="3 acknowledged messages were never delivered",
        examined=517_000,
        instances=3,
        witnesses=[
            r.Witness(
                summary="producer 17279655951921914625 to vip_user: n 500..502 were acknowledged "
                "at 7.210 s and are in no delivery up to the confirmed end at 40.102 s",
                records=[
                    {
                        "record": "completed",
                        "t_ns": 7_210_000_000,
                        "producer": "17279655951921914625",
                        "inbox": "vip_user",
                        "n_first": 500,
                        "count": 3,
                        "outcome": "ok",
                    }
                ],
                history_ref="history/0003.msgpack#17",
            )
        ],
        witnesses_truncated=True,
    )
    reordered = r.Check(
        id="B4",
        name="REALTIME",
        status=r.CheckStatus.FAIL,
        reason="1 message took a position before one that had completed earlier",
        examined=517_000,
        instances=1,
        witnesses=[r.Witness(summary="position 9 before position 8")],
    )
    checks = [{"A1": lost, "B4": reordered}.get(c.id, c) for c in base.checks]
    diagnosis = r.Diagnosis(
        text="3 acknowledged messages were lost when edge-core eu-west was reset at 5.00 s: inbox "
        "vip_user, acknowledged at 7.21 s. Nobody got them, though their inboxes were read to the "
        "end.",
        check="A1",
        messages=3,
        inboxes=["vip_user"],
        first_ns=7_210_000_000,
        last_ns=7_210_000_000,
        faults=["f1"],
        also_failed=["B4 REALTIME"],
    )
    return msgspec.structs.replace(
        base,
        verdict=verdict.decide(checks, base.limits, diagnosis=diagnosis),
        counts=r.Counts(
            sends=r.Sends(ok=517_000),
            delivered=516_997,
            lost=r.Lost(total=3, middle=3),
            reordered=1,
        ),
        bound=None,
        checks=checks,
        diagnosis=diagnosis,
        senders={"17279655951921914625": "sender-3"},
    )


def unknown() -> r.Result:
    """Return a run whose fault had no effect, on a file system that is not a disk."""
    base = passed()
    vacuous = r.Check(
        id="D5",
        name="VACUOUS",
        status=r.CheckStatus.UNKNOWN,
        reason="fault f1 (reset_peer on edge-core eu-west) had no observed effect",
    )
    checks = [vacuous if c.id == "D5" else c for c in base.checks]
    fault = msgspec.structs.replace(base.faults[0], effective=False, effect={})
    environment = msgspec.structs.replace(
        base.environment,
        filesystem="tmpfs",
        flags=["results lie on tmpfs: fsync proves nothing there"],
    )
    return msgspec.structs.replace(
        base,
        verdict=verdict.decide(checks, base.limits),
        checks=checks,
        faults=[fault],
        environment=environment,
    )


def started() -> r.Result:
    """Return what stands in `result.json` while a run is under way."""
    base = passed()
    run = msgspec.structs.replace(base.run, ended_at=None, duration_s=0.0)
    return r.Result(
        complete=False,
        verdict=verdict.started(),
        run=run,
        system=base.system,
        environment=base.environment,
    )


def interrupted() -> r.Result:
    """Return a run that a signal ended before anything was found."""
    base = passed()
    return msgspec.structs.replace(
        base,
        complete=False,
        verdict=verdict.interrupted(base.verdict, verdict.EXIT_SIGTERM),
        bound=None,
    )


def suite() -> r.Suite:
    """Return a suite of a pass and a fail."""
    good, bad = passed(), failed()
    return r.Suite(
        complete=True,
        verdict=verdict.merge_runs([("offline_messaging", good.verdict), ("fan", bad.verdict)]),
        profile="smoke",
        seed=7,
        environment=good.environment,
        scenarios=[
            r.SuiteScenario(
                name=name,
                status=one.verdict.status,
                limits=one.verdict.limits,
                reason=one.verdict.reason,
                duration_s=one.run.duration_s,
                result=f"{name}/result.json",
            )
            for name, one in (("offline_messaging", good), ("fan", bad))
        ],
        not_applicable=[r.NotApplicable(name="hotkey_bucketing", reason="needs resize, inspect")],
    )
