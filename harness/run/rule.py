"""Bucket counts that a system changes by itself: they are written down as if they were asked for.

A rule is told in advance what it may do: from the moment in which an epoch is known to be in force
the next one may begin. What it did is found by asking, and confirmed then; so checks judge its
changes as they judge an administrator's.
"""

from __future__ import annotations

from typing import Final

import anyio

from harness.history.records import OK, ResizeCompleted, ResizeInvoked
from harness.run.stage import Stage
from harness.systems.port import SelfResizing

LOOK_EVERY_S: Final = 0.1
"""How often the epochs are asked for. A rule waits for longer between two changes of an inbox."""


async def follow_rule(stage: Stage) -> None:
    """Write down what a system's own rule does, until cancelled; nothing where there is none."""
    while _rule_of(stage):
        await look_at_epochs(stage)
        await anyio.sleep(LOOK_EVERY_S)


async def look_at_epochs(stage: Stage) -> None:
    """Write down the changes that a system's rule has made since the last look."""
    deployment = stage.deployment
    if not isinstance(deployment, SelfResizing) or not _rule_of(stage):
        return
    for inbox in list(stage.inboxes):
        # What an administrator asks for meanwhile is written down by who asked.
        async with stage.turns.setdefault(inbox, anyio.Lock()):
            if inbox not in stage.ruled:
                _allow(stage, inbox, 1)
            try:
                entries = await deployment.epochs(inbox)
            except ConnectionError:
                # Nobody answers now; the next look finds what it did meanwhile.
                return
            for epoch, bucket_count, pos_first in entries:
                if epoch > stage.epochs.get(inbox, 0):
                    _done(stage, inbox, epoch, bucket_count, pos_first)
            epoch, bucket_count, _pos_first = entries[-1] if entries else (0, 1, 0)
            if stage.ruled[inbox] != epoch:
                _allow(stage, inbox, bucket_count)
    stage.recorder.flush()


def _done(stage: Stage, inbox: str, epoch: int, bucket_count: int, pos_first: int) -> None:
    """Write down that the rule has begun an epoch."""
    stage.epochs[inbox] = epoch
    stage.recorder.write(
        ResizeCompleted(
            t_ns=stage.now_ns(),
            inbox=inbox,
            expected_epoch=epoch - 1,
            bucket_count=bucket_count,
            outcome=OK,
            epoch=epoch,
            pos_first=pos_first,
            error="",
            by_rule=True,
        )
    )


def _allow(stage: Stage, inbox: str, bucket_count: int) -> None:
    """Write down that the rule may change the count in force to another one of its own."""
    stage.ruled[inbox] = stage.epochs.get(inbox, 0)
    for other in _rule_of(stage):
        if other != bucket_count:
            stage.recorder.write(
                ResizeInvoked(
                    t_ns=stage.now_ns(),
                    inbox=inbox,
                    expected_epoch=stage.ruled[inbox],
                    bucket_count=other,
                )
            )


def _rule_of(stage: Stage) -> tuple[int, ...]:
    deployment = stage.deployment
    return deployment.rule_counts if isinstance(deployment, SelfResizing) else ()
