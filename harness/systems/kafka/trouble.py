"""What aiokafka raises, as the harness knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka_errors

from harness.systems.broker.line import Unavailable

RAISED = (kafka_errors.KafkaError, kafka_errors.ConsumerStoppedError)
"""All that it raises on purpose; the second, for whoever reads while a consumer ends, is no
KafkaError."""


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Raise `Unavailable` for every error of aiokafka's within.

    aiokafka cancels tasks of its own and waits for them; whoever waits on is told that he was
    cancelled himself. A task group takes that for its end, and says nothing: a whole load process
    would be gone. So a cancellation that nobody has asked for is an error like others.
    """
    try:
        yield
    except (*RAISED, OSError) as error:
        raise Unavailable(str(error) or type(error).__name__) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("aiokafka gave up a task of its own") from error
