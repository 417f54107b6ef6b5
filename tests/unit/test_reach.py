"""Rare states: each is counted where it occurs, and its count comes through to the suite."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness.checkers.fold import fold
from harness.checkers.run_facts import RunFacts
from harness.cli.suite import Planned, SuiteJob, new_suite
from harness.history.records import (
    Closed,
    Completed,
    Connected,
    Delivered,
    GaugeSeen,
    Invoked,
    Opened,
    PhaseMarked,
    Record,
    ResizeCompleted,
)
from harness.load.reach import LARGEST_MESSAGE_BYTES, see_batch
from harness.reach import catalogue
from harness.reach.catalogue import BY_NAME, CATALOGUE, LEFT_OUT, never_reached, states_of
from harness.reach.page import BEGIN, END, Column, read, record, unreached
from harness.report.reach import never
from harness.scenario.loader import find
from harness.scenario.scenario import Requires
from harness.systems.broker.outbox import Outbox
from harness.systems.port import Batch, Reaching
from harness.systems.reference.clients import ReferenceConnector
from harness.testing import core_script, example_results
from harness.testing.core_script import CoreScript
from harness.testing.edge_script import EdgeScript
from harness.testing.histories import plain_digest
from harness.testing.store_script import writes_of
from reference.client.sender import SenderMachine, SenderSettings
from reference.node.driver import Driver
from reference.reach import GAUGE_PREFIX, Reach, gauges_of
from reference.store.sqlite import SqliteStore
from reference.wire import messages as m

ROOT = Path(__file__).resolve().parents[2]

COUNTING = (
    *sorted((ROOT / "reference").rglob("*.py")),
    *sorted((ROOT / "harness" / "systems").rglob("*.py")),
    ROOT / "harness" / "load" / "reach.py",
    ROOT / "harness" / "checkers" / "rare.py",
)

PARTS = "load|run|core|edge|client|store|node|broker|nats|valkey|kafka"


def counted_in(path: Path) -> Iterator[str]:
    """Yield every name that a file counts under, as a pattern: f-strings leave a gap."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Subscript):
            continue
        inside = [part for one in ast.walk(node.slice) if isinstance(one, ast.JoinedStr)
                  for part in one.values]  # fmt: skip
        for one in ast.walk(node.slice):
            text = ""
            if isinstance(one, ast.JoinedStr):
                text = "".join(
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+"
                    for part in one.values
                )
            elif isinstance(one, ast.Constant) and one not in inside:
                text = re.escape(str(one.value))
            if re.match(rf"({PARTS})\\\.", text):
                yield text


def test_what_the_code_counts_is_what_the_catalogue_has():
    patterns = {text for path in COUNTING for text in counted_in(path)}
    assert len(patterns) > 90
    known = {*BY_NAME, *LEFT_OUT}
    assert [one for one in patterns if not any(re.fullmatch(one, name) for name in known)] == []
    assert [name for name in known if not any(re.fullmatch(one, name) for one in patterns)] == []


def test_the_catalogue_is_in_order():
    names = [state.name for state in CATALOGUE]
    assert len(set(names)) == len(names)
    assert not set(names) & set(LEFT_OUT)
    for state in CATALOGUE:
        assert re.fullmatch(rf"({PARTS})\.[a-z0-9_]+", state.name)
        assert state.meaning[0].isupper()
        assert state.meaning.endswith(".")
        assert "|" not in state.meaning


def test_a_state_that_no_suite_reached_is_found():
    reached = {state.name: 1_234 for state in CATALOGUE}
    del reached["core.gap"]
    column = Column(heading="reference, smoke, seed 4711", about="4 runs, PASS", reached=reached)
    text = f"{BEGIN}\n\n{record([column])}\n\n{END}"
    (again,) = read(text)
    assert again.reached == {
        name: times for name, times in reached.items() if BY_NAME[name].is_of("reference")
    }
    assert "core.gap" in unreached([again])
    assert "core.batch_known" not in unreached([again])
    with pytest.raises(ValueError, match="no record"):
        read("# Reach\n")


# Where states are counted


def test_a_core_counts_among_its_gauges():
    script = CoreScript(core_script.settings(tail_cache_bytes_max=64))
    edge = script.edge()
    script.batch(edge, core_script.batch(0, 10))
    assert "reach.core.batch_known" not in script.core.gauges()
    script.batch(edge, core_script.batch(0, 10), core_script.batch(20, 1))
    script.login(edge, window_bytes=60)
    script.login(edge, window_bytes=60)
    gauges = script.core.gauges()
    assert gauges["reach.core.began_empty"] == 1
    assert gauges["reach.core.batch_known"] == 1
    assert gauges["reach.core.gap"] == 1
    assert gauges["reach.core.superseded_on_its_link"] == 1
    assert gauges["reach.core.cache_evicted"] >= 1
    assert gauges["reach.core.read_from_store"] >= 1
    script.restart()
    assert script.core.gauges()["reach.core.recovered"] == 1


def test_an_edge_counts_among_its_gauges():
    script = EdgeScript()
    core = script.core(credit_bytes=40)
    client = script.sender(core)
    for n_first in (0, 10):
        batch = core_script.batch(n_first, 10, inbox="ann")
        script.say(client, m.BatchSend(segments=(batch,)))
    assert script.machine.gauges()["reach.edge.core_credit_used_up"] == 1
    script.lose(core)
    assert script.machine.gauges()["reach.edge.link_lost_amid_batches"] == 1


def test_clients_share_what_their_connector_tells():
    connector = ReferenceConnector(
        {
            "client_secret": "c" * 64,
            "authority": "",
            "client_ports": {},
            "heartbeat_interval_ms": 500,
            "heartbeat_deadline_ms": 1_500,
            "window_bytes": 1_000,
        }
    )
    assert isinstance(connector, Reaching)
    sender = connector.sender(
        producer=7, group="g", outcomes=lambda _outcome: None, lost=lambda _cause: None
    )
    sender._client.machine.reach["client.told_gap"] += 1
    reader = connector.receiver(
        inbox="vip",
        group="g",
        deliveries=lambda _delivery: None,
        acks=lambda _session, _upto, _outcome: None,
        lost=lambda _session, _cause: None,
    )
    reader._client.machine.reach["client.superseded"] += 1
    assert connector.reached() == {"client.told_gap": 1, "client.superseded": 1}


def test_a_sender_counts_that_its_outbox_is_full():
    machine = SenderMachine(SenderSettings(producer=7, token="t", name="s", outbox_batches_max=1))
    machine.submit(core_script.batch(0, 1, inbox="ann"), 0)
    with pytest.raises(Exception, match="1 batches"):
        machine.submit(core_script.batch(1, 1, inbox="ann"), 0)
    assert machine.reach == {"client.outbox_full": 1}


def test_a_store_counts_what_it_found_and_what_it_reads(tmp_path: Path):
    path = tmp_path / "core.db"
    store = SqliteStore(path)
    store.recover()
    assert "reach.store.log_left_behind" not in store.gauges()
    store.commit(writes_of("vip", 0, 200, epoch=0, bucket_count=4))
    store.read("vip", 0, 199, 1_000_000)
    assert store.gauges()["reach.store.read_over_buckets"] == 1
    left = path.with_name("left.db")
    for suffix in ("", "-wal"):
        Path(f"{left}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    store.close()
    again = SqliteStore(left)
    assert again.gauges()["reach.store.log_left_behind"] == 1
    again.close()


def test_a_node_counts_the_steps_of_its_clock(monkeypatch: pytest.MonkeyPatch):
    driver = Driver(CoreScript().core)
    wall_ns = 10**18
    monkeypatch.setattr("reference.node.driver.time.time_ns", lambda: wall_ns)
    driver._look_at_clock(0)
    wall_ns += 3_600 * 10**9
    driver._look_at_clock(1_000_000)
    driver._look_at_clock(2_000_000)
    wall_ns -= 7_200 * 10**9
    driver._look_at_clock(3_000_000)
    assert driver._reach == {"node.clock_stepped_on": 1, "node.clock_stepped_back": 1}


def test_an_outbox_of_a_broker_counts_what_it_sends_again():
    reach: Counter[str] = Counter()
    outbox = Outbox(lambda _outcome: None, lambda: None, reach)
    lengths = (3).to_bytes(4, "little") * 4
    batch = Batch(inbox="ann", producer=7, n_first=0, count=4, lengths=lengths, body=b"abc" * 4)
    outbox.take(batch)
    outbox.next_unsent()
    outbox.answer("ann", 0, 2, pos_first=0)
    outbox.rewind()
    assert outbox.next_unsent() == (batch, 2)
    outbox.answer("ann", 0, 4, pos_first=0)
    assert reach == {
        "broker.reconnected_amid_batches": 1,
        "broker.resent": 1,
        "broker.resent_in_part": 1,
        "broker.answered_twice": 2,
    }


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([100, 200], set()),
        ([1, 256], set()),  # Four zeros lie across these two lengths.
        ([5, 0, 5], {"load.empty_message"}),
        ([0], {"load.empty_message"}),
        ([32 * 1024], set()),
        ([LARGEST_MESSAGE_BYTES - 1], {"load.message_over_32_kib"}),
        ([32 * 1024 + 1], {"load.message_over_32_kib"}),
        ([1_000] * 300, {"load.batch_over_256_kib"}),
        (
            [LARGEST_MESSAGE_BYTES],
            {"load.message_of_256_kib", "load.message_over_32_kib"},
        ),
    ],
)
def test_sizes_that_few_runs_have_are_counted_as_they_are_sent(sizes: list[int], found: set[str]):
    reach: Counter[str] = Counter()
    lengths = b"".join(size.to_bytes(4, "little") for size in sizes)
    see_batch(lengths, bytes(sum(sizes)), reach)
    assert set(reach) == found


# What a history tells


def reached(*records: Record) -> dict[str, int]:
    run = RunFacts(promises=frozenset(), requires=Requires(), expected_digest=plain_digest)
    return fold(records, run).reached


def told(value: int, *, role: str = "core", index: int = 0, name: str = "core.gap") -> GaugeSeen:
    return GaugeSeen(
        t_ns=0, role=role, index=index, name=f"reach.{name}", value=value, limit=-1
    )  # fmt: skip


def test_counts_are_added_up_over_processes_and_their_restarts():
    assert reached(told(2), told(5), told(1), told(1), told(3, index=1)) == {"core.gap": 9}
    assert reached(told(0)) == {}
    commits = GaugeSeen(t_ns=0, role="core", index=0, name="commits", value=3, limit=-1)
    assert reached(commits) == {}


def sent(producer: int, inbox: str, *, count: int = 1) -> Invoked:
    return Invoked(t_ns=1, process=1, producer=producer, inbox=inbox, n_first=0, count=count)


def done(outcome: str, attempts: int = 1) -> Completed:
    return Completed(
        t_ns=2, process=1, producer=7, inbox="ann", n_first=0, count=1, outcome=outcome,
        pos_first=-1, epoch=-1, attempts=attempts, error="",
    )  # fmt: skip


def of_the_workload(*records: Record) -> dict[str, int]:
    """Return what was reached, but that nothing of it had an outcome."""
    found = reached(*records)
    del found["run.outcome_unknown"]
    return found


def test_names_and_numbers_of_the_workload():
    assert of_the_workload(sent(7, "ann"), sent(9, "bob")) == {}
    assert of_the_workload(sent(7, "ann"), sent(7, "Anna"), sent(8, "ann-2"), sent(9, "søren")) == {
        "run.inbox_beyond_ascii": 1,
        "run.inbox_in_upper_case": 1,
        "run.inbox_is_prefix_of_another": 1,
        "run.producer_of_several_inboxes": 1,
    }
    near = {"run.producer_near_a_power_of_two": 3}
    powers = (2**64 - 1, 2**31 + 16, 2**32 - 16, 2**31 + 17, 2**33 - 17, 0)
    assert of_the_workload(*(sent(number, "ann") for number in powers)) == near
    assert of_the_workload(*(sent(n, "ann") for n in range(100))) == {
        "run.inbox_of_many_producers": 1
    }
    assert of_the_workload(sent(7, "ann", count=65_536)) == {}
    assert of_the_workload(sent(7, "ann", count=65_537)) == {"run.producer_of_many_messages": 1}


def test_outcomes_of_sends():
    begun = sent(7, "ann")
    assert reached(begun) == {"run.outcome_unknown": 1}
    assert reached(begun, done("ok")) == {}
    assert reached(begun, done("ok", attempts=2)) == {"run.stored_after_a_resend": 1}
    assert reached(begun, done("info")) == {"run.outcome_unknown": 1}
    assert reached(begun, done("fail")) == {"run.refused_for_good": 1}


def closed(cause: str) -> Closed:
    return Closed(t_ns=9, reader="home-ann", inbox="ann", session=1, cause=cause)


def opened(reader: str, from_pos: int, next_pos: int) -> Opened:
    return Opened(
        t_ns=3, t_invoked_ns=2, reader=reader, inbox="ann", session=1, from_pos=from_pos,
        next_pos=next_pos, edge="here",
    )  # fmt: skip


def test_sessions_and_readers():
    audit = PhaseMarked(t_ns=5, name="audit", begins=True)
    assert reached(closed("superseded")) == {"run.session_taken_over": 1}
    assert reached(audit, closed("superseded")) == {}
    assert reached(closed("lost"), closed("logout")) == {"run.session_lost": 1}
    assert reached(opened("a", -2, 5), opened("audit-ann", -1, 0)) == {"run.login_at_the_cursor": 1}
    assert reached(opened("a", -1, 0)) == {}
    assert reached(opened("a", -1, 1)) == {"run.login_behind_trimming": 1}
    assert reached(opened("a", 4, 5), opened("b", 4, 9)) == {
        "run.inbox_of_several_devices": 1,
        "run.login_behind_trimming": 1,
    }
    again = Delivered(
        t_ns=4, reader="a", inbox="ann", session=1, pos_first=0, redelivered=True, runs=()
    )
    assert reached(opened("a", -1, 0), again)["run.redelivered"] == 1


def test_clients_that_move():
    ups = [
        Connected(t_ns=n, process=1, role=role, name="x", edge=edge, up=up, cause="churn")
        for n, (role, edge, up) in enumerate(
            [("sender", "far", True), ("sender", "far", False), ("sender", "near", True),
             ("receiver", "far", True), ("receiver", "far", True)]
        )
    ]  # fmt: skip
    assert reached(*ups) == {"run.sender_moved_to_another_edge": 1}


def resized(outcome: str, bucket_count: int, expected_epoch: int = 0) -> ResizeCompleted:
    return ResizeCompleted(
        t_ns=1, inbox="ann", expected_epoch=expected_epoch, bucket_count=bucket_count,
        outcome=outcome, epoch=1, pos_first=0, error="",
    )  # fmt: skip


def test_promotions():
    assert reached(resized("ok", 5), resized("ok", 256, 1)) == {}
    assert reached(resized("ok", 257), resized("ok", 1, 1)) == {
        "run.demoted": 1,
        "run.more_than_256_buckets": 1,
    }
    unknown = {"run.promotion_unknown": 1}
    assert reached(resized("info", 5)) == unknown
    assert reached(resized("info", 5), resized("ok", 5)) == unknown | {"run.promotion_undone": 1}
    found = {"run.promotion_found_done": 1}
    assert reached(resized("info", 5), resized("fail", 5)) == unknown | found


# What is told of a suite


def test_a_suite_adds_up_what_its_runs_reached(tmp_path: Path):
    job = SuiteJob(suite_dir=tmp_path, suite=new_suite(tmp_path, "smoke", 1), keep_history="never")
    loaded = find("core_crash")
    counts = ({"core.gap": 2}, {"core.gap": 3, "mine.own": 1})
    for number, reached_here in enumerate(counts):
        planned = Planned(loaded=loaded, place="core_crash", folder=f"run-{number}", seed=1)
        (tmp_path / planned.folder).mkdir()
        result = msgspec.structs.replace(example_results.passed(), reached=reached_here)
        job._add_result(planned, result)
    assert job.suite.reached == {"core.gap": 5, "mine.own": 1}
    assert "core.gap" not in job.suite.never_reached
    assert "core.batch_known" in job.suite.never_reached
    assert not any(name.startswith(("broker.", "nats.")) for name in job.suite.never_reached)


def test_what_was_never_reached_stands_in_one_short_line():
    suite = example_results.suite()
    assert len({one.name for one in suite.scenarios}) > 1
    assert never(suite, "tallystick reach X") == ""
    names = [state.name for state in states_of(frozenset({"reference"}))]
    suite = msgspec.structs.replace(
        suite, reached={names[0]: 1, "mine.own": 4}, never_reached=names[1:]
    )
    line = never(suite, "tallystick reach X")
    assert line.startswith(f"never reached in this suite: {names[1]}, {names[2]}, ")
    assert f"and {len(names) - 7} more" in line
    assert f"(1 of {len(names)} rare states were; all of them: tallystick reach X)" in line
    alone = msgspec.structs.replace(suite, scenarios=suite.scenarios[:1])
    assert never(alone, "tallystick reach X") == ""


def test_each_system_has_states_of_its_own():
    of_nats = {state.name for state in states_of(frozenset({"nats"}))}
    assert {"nats.duplicate", "broker.resent", "load.empty_message"} <= of_nats
    assert not of_nats & {"core.gap", "valkey.known", "run.demoted"}
    mine = states_of(frozenset({"mine"}))
    assert {state.systems for state in mine} == {catalogue.EVERY}
    assert never_reached({"load.empty_message": 1}, frozenset({"mine"})) == [
        state.name for state in mine if state.name != "load.empty_message"
    ]


def test_counts_become_gauges():
    reach = Reach({"core.gap": 2})
    assert gauges_of(reach) == {f"{GAUGE_PREFIX}core.gap": 2}
