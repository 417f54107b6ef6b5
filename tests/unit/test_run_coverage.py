"""Link coverage: whoever went around a proxy is seen, and nobody else."""

import pytest

from harness.links.coverage import LinkCoverage
from harness.run.coverage import UPLINK_BYTES_READ, UPLINK_CONNECTIONS, Uplinks, compare_coverage

CLIENT = "client-edge:a:sender-0"
UPLINK = "edge-core:a"


def seen(connections: int, down: int, unforwarded: int = 0) -> LinkCoverage:
    return LinkCoverage(
        connections=connections, unforwarded=unforwarded, bytes_up=10, bytes_down=down
    )


@pytest.mark.parametrize("link", [CLIENT, UPLINK])
def test_equal_counts_are_covered(link: str):
    rows, bypassed = compare_coverage({link: seen(3, 500)}, {link: (3, 500)})
    assert bypassed == []
    assert rows[0].covered


@pytest.mark.parametrize("link", [CLIENT, UPLINK])
@pytest.mark.parametrize("counted", [(4, 500), (3, 501)])
def test_a_connection_or_a_byte_more_than_the_proxy_saw_is_a_bypass(
    link: str, counted: tuple[int, int]
):
    assert compare_coverage({link: seen(3, 500)}, {link: counted})[1] == [link]


def test_a_connection_that_found_no_upstream_was_not_the_answered_one():
    assert compare_coverage({CLIENT: seen(3, 500, unforwarded=1)}, {CLIENT: (3, 500)})[1]


def test_a_link_that_no_proxy_has_is_a_bypass():
    assert compare_coverage({}, {CLIENT: (1, 1)})[1] == [CLIENT]


def test_an_unused_edge_core_link_is_a_bypass_and_an_unused_client_link_no_row():
    rows, bypassed = compare_coverage({UPLINK: LinkCoverage(), CLIENT: LinkCoverage()}, {})
    assert bypassed == [UPLINK]
    assert [row.link for row in rows] == [UPLINK]


def test_an_edge_that_does_not_count_is_covered_by_what_went_through():
    assert compare_coverage({UPLINK: seen(1, 5)}, {})[1] == []


def test_counts_of_a_restarted_edge_are_added_up():
    uplinks = Uplinks()
    for connections, read in [(1, 100), (2, 300), (1, 40), (1, 90)]:
        uplinks.take(UPLINK, {UPLINK_CONNECTIONS: connections, UPLINK_BYTES_READ: read})
    uplinks.take("edge-core:b", {"rss_bytes": 7})
    assert uplinks.traffic() == {UPLINK: (3, 390)}
