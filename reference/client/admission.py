"""What a batch must be before an outbox takes it: named limits, and columns that fit each other."""

from __future__ import annotations

import numpy as np

from reference.wire.errors import ErrorCode, LocalProtocolError
from reference.wire.limits import (
    BATCH_BYTES_MAX,
    BATCH_COUNT_MAX,
    INBOX_NAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
)
from reference.wire.messages import Segment


class Admission:
    """Checks batches before they are numbered; knows nothing of what was sent before.

    Batches of one producer mostly have the same lengths, so columns that repeat those of the last
    good batch cost one comparison (they were a tenth of a sender's work).
    """

    __slots__ = ("_body_bytes", "_lengths")

    def __init__(self) -> None:
        self._lengths = b""
        self._body_bytes = 0

    def check(self, segment: Segment) -> None:
        """Return if the batch may be sent.

        Raises:
            LocalProtocolError: It breaks a named limit, or its columns do not fit.
        """
        name_bytes = len(segment.inbox.encode("utf-8", "surrogatepass"))
        if not 0 < name_bytes <= INBOX_NAME_BYTES_MAX or not segment.inbox.isprintable():
            raise LocalProtocolError(
                ErrorCode.BAD_NAME,
                f"the name of an inbox has 1 to {INBOX_NAME_BYTES_MAX} bytes of printable text",
            )
        body_bytes = len(segment.body)
        if not 0 < segment.count <= BATCH_COUNT_MAX or body_bytes > BATCH_BYTES_MAX:
            raise LocalProtocolError(
                ErrorCode.TOO_LARGE,
                f"a batch has 1 to {BATCH_COUNT_MAX} messages and at most {BATCH_BYTES_MAX} bytes",
            )
        if len(segment.lengths) != 4 * segment.count:
            raise LocalProtocolError(ErrorCode.BAD_HEADER, "the lengths do not fit the count")
        if segment.lengths == self._lengths and body_bytes == self._body_bytes:
            return
        lengths = np.frombuffer(segment.lengths, dtype="<u4")
        if int(lengths.sum(dtype=np.int64)) != body_bytes:
            raise LocalProtocolError(ErrorCode.BAD_HEADER, "the lengths do not fit the body")
        if int(lengths.max()) > MESSAGE_BYTES_MAX:
            raise LocalProtocolError(
                ErrorCode.TOO_LARGE, f"a message has at most {MESSAGE_BYTES_MAX} bytes"
            )
        self._lengths, self._body_bytes = segment.lengths, body_bytes
