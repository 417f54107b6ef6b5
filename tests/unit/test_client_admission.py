"""Admission of batches: limits, columns that fit, and what a good batch before does not excuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.client.admission import Admission
from reference.wire.errors import ErrorCode, LocalProtocolError
from reference.wire.limits import BATCH_BYTES_MAX, BATCH_COUNT_MAX, MESSAGE_BYTES_MAX
from reference.wire.messages import Segment

GOOD = Segment(
    inbox="alice",
    producer=7,
    n_first=0,
    count=2,
    lengths=b"\3\0\0\0\1\0\0\0",
    body=b"abcd",
)


def code_of(admission: Admission, segment: Segment) -> ErrorCode | None:
    try:
        admission.check(segment)
    except LocalProtocolError as error:
        return error.code
    return None


def long_message() -> Segment:
    body = bytes(MESSAGE_BYTES_MAX + 1)
    return replace(GOOD, count=1, lengths=len(body).to_bytes(4, "little"), body=body)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (replace(GOOD, body=b"abc"), ErrorCode.BAD_HEADER),
        (replace(GOOD, body=b"abcde"), ErrorCode.BAD_HEADER),
        (replace(GOOD, lengths=b"\3\0\0\0\2\0\0\0"), ErrorCode.BAD_HEADER),
        (replace(GOOD, lengths=b"\3\0\0\0\1\0\0"), ErrorCode.BAD_HEADER),
        (replace(GOOD, count=1), ErrorCode.BAD_HEADER),
        (replace(GOOD, count=3), ErrorCode.BAD_HEADER),
        (replace(GOOD, count=0, lengths=b"", body=b""), ErrorCode.TOO_LARGE),
        (replace(GOOD, count=BATCH_COUNT_MAX + 1), ErrorCode.TOO_LARGE),
        (replace(GOOD, body=bytes(BATCH_BYTES_MAX + 1)), ErrorCode.TOO_LARGE),
        (long_message(), ErrorCode.TOO_LARGE),
        (replace(GOOD, inbox=""), ErrorCode.BAD_NAME),
        (replace(GOOD, inbox="a\nb"), ErrorCode.BAD_NAME),
    ],
)
@pytest.mark.parametrize("goods_before", [0, 1, 2])
def test_a_bad_batch_is_refused_whatever_came_before(
    bad: Segment, code: ErrorCode, goods_before: int
) -> None:
    admission = Admission()
    for _ in range(goods_before):
        assert code_of(admission, GOOD) is None
    assert code_of(admission, bad) is code
    assert code_of(admission, GOOD) is None


def test_a_refused_batch_is_refused_again() -> None:
    admission = Admission()
    bad = replace(GOOD, body=b"abc")
    assert code_of(admission, bad) is ErrorCode.BAD_HEADER
    assert code_of(admission, bad) is ErrorCode.BAD_HEADER
