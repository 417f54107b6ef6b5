"""Link coverage: a client that went around its proxy is seen."""

from harness.links.coverage import LinkCoverage
from harness.run.coverage import compare_coverage


def seen(connections: int, down: int) -> LinkCoverage:
    return LinkCoverage(connections=connections, bytes_up=10, bytes_down=down)


def test_equal_counts_are_covered():
    rows, bypassed = compare_coverage(
        {"client-edge:a:0": seen(3, 500)}, {"client-edge:a:0": (3, 500)}
    )
    assert bypassed == []
    assert rows[0].covered


def test_a_connection_or_a_byte_more_than_the_proxy_saw_is_a_bypass():
    for counted in [(4, 500), (3, 501)]:
        _, bypassed = compare_coverage(
            {"client-edge:a:0": seen(3, 500)}, {"client-edge:a:0": counted}
        )
        assert bypassed == ["client-edge:a:0"]


def test_a_link_that_no_proxy_has_is_a_bypass():
    assert compare_coverage({}, {"client-edge:a:0": (1, 1)})[1] == ["client-edge:a:0"]


def test_an_unused_edge_core_link_is_a_bypass():
    assert compare_coverage({"edge-core:a": LinkCoverage()}, {})[1] == ["edge-core:a"]


def test_bytes_are_not_compared_on_a_reset_link_and_connections_are():
    link = "client-edge:a:0"
    assert compare_coverage({link: seen(3, 1)}, {link: (3, 500)}, reset=[link])[1] == []
    assert compare_coverage({link: seen(3, 1)}, {link: (4, 1)}, reset=[link])[1] == [link]
