"""Who moves does so at even times, and never while it is on its way."""

from __future__ import annotations

from harness.load.mover import Mover

MS = 1_000_000


def test_it_moves_at_even_times_while_it_is_up() -> None:
    mover = Mover(("near", "far"), 0.1)
    assert not mover.is_due(0, up=True)
    assert not mover.is_due(99 * MS, up=True)
    assert mover.is_due(100 * MS, up=True)
    assert not mover.is_due(150 * MS, up=True)
    assert not mover.is_due(300 * MS, up=False)
    assert mover.is_due(301 * MS, up=True)


def test_it_goes_round() -> None:
    mover = Mover(("near", "far"), 0.1)
    assert [mover.next_edge(edge) for edge in ("near", "far", "elsewhere")] == [
        "far", "near", "near",
    ]  # fmt: skip


def test_most_never_move() -> None:
    mover = Mover((), 0.0)
    assert not any(mover.is_due(at, up=True) for at in range(0, 10**9, 10**8))
    assert mover.next_edge("near") is None
