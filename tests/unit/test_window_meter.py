"""A receiver counts by itself what it was sent and has not acknowledged."""

from __future__ import annotations

from harness.load.window_meter import WindowMeter


def test_within_the_window_nothing_is_told() -> None:
    meter = WindowMeter(100)
    assert not meter.delivered(0, 1, 60)
    assert not meter.delivered(1, 1, 40)
    assert meter.most_bytes == 100


def test_more_than_the_window_is_told_each_time_that_it_is_more_than_ever() -> None:
    meter = WindowMeter(100)
    assert not meter.delivered(4, 5, 90)
    assert meter.delivered(9, 5, 90)
    assert meter.most_bytes == 180
    meter.acknowledged(9)
    assert not meter.delivered(14, 5, 90)
    assert not meter.delivered(19, 5, 90)
    assert meter.delivered(20, 1, 1)
    assert meter.most_bytes == 181


def test_what_was_acknowledged_is_given_back() -> None:
    meter = WindowMeter(100)
    for pos in range(50):
        assert not meter.delivered(pos, 1, 90)
        meter.acknowledged(pos)
    assert meter.most_bytes == 90


def test_a_message_larger_than_the_window_may_come_alone_and_only_alone() -> None:
    alone = WindowMeter(100)
    assert not alone.delivered(0, 1, 500)
    behind = WindowMeter(100)
    assert not behind.delivered(0, 1, 10)
    assert behind.delivered(1, 1, 500)
    several = WindowMeter(100)
    assert several.delivered(1, 2, 500)


def test_without_a_promise_nothing_is_counted() -> None:
    meter = WindowMeter()
    assert not meter.delivered(0, 1, 1 << 30)
    assert meter.most_bytes == 0
