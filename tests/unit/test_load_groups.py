"""Who goes through which proxies."""

from __future__ import annotations

from fnmatch import fnmatchcase

from harness.load.groups import ACTORS_APART_MAX, groups_of
from harness.scenario.phases import Drain, Load, Login, Promote, Send, Stream
from harness.scenario.scenario import Plan
from harness.systems.topology import Topology, client_links

TOPOLOGY = Topology(edges=("near", "far"))


def plan(senders: int, load_processes: int = 1) -> Plan:
    return Plan(
        topology=TOPOLOGY,
        phases=(
            Send(stream=Stream(to=("ann",), producers=1, count=1)),
            Login(inboxes=("bob",)),
            Load(
                duration_s=1.0,
                streams=(Stream(to=("ann", "c/d:*"), producers=senders - 1),),
                during=((0.5, Promote(inbox="eve", bucket_count=5)),),
            ),
            Drain(),
        ),
        load_processes=load_processes,
    )


def test_few_actors_are_groups_of_their_own_and_the_processes_come_behind():
    groups = groups_of(plan(3))
    assert groups.names == (
        "reader-ann", "reader-bob", "reader-c_d__", "reader-eve",
        "sender-0", "sender-1", "sender-2", "load-1", "load-2",
    )  # fmt: skip
    assert groups.of("sender-2", 1) == "sender-2"
    assert groups.of("reader-c/d:*", 2) == "reader-c_d__"
    # The readers of the audit are no actors of the plan.
    assert groups.of("audit-ann", 2) == "load-2"


def test_beyond_the_limit_a_group_is_a_load_process():
    at_limit = groups_of(plan(ACTORS_APART_MAX - 4))
    assert len(at_limit.actors) == ACTORS_APART_MAX
    beyond = groups_of(plan(ACTORS_APART_MAX - 3, load_processes=2))
    assert beyond.names == ("load-1", "load-2", "load-3")
    assert beyond.of("sender-0", 1) == "load-1"
    assert beyond.of("reader-ann", 3) == "load-3"


def test_patterns_name_one_actor_an_edge_or_everybody():
    groups = groups_of(plan(12))
    topology = Topology(edges=TOPOLOGY.edges, client_groups=groups.names)
    links = [name for edge in topology.edges for name in client_links(topology, edge)]

    def named(pattern: str) -> list[str]:
        return [name for name in links if fnmatchcase(name, pattern)]

    assert named("client-edge:far:sender-1") == ["client-edge:far:sender-1"]
    assert named("client-edge:*:sender-1") == [
        "client-edge:near:sender-1",
        "client-edge:far:sender-1",
    ]
    assert len(named("client-edge:near:sender-*")) == 12
    assert len(named("client-edge:near:*")) == len(groups.names)
    assert named("client-edge:*") == links
