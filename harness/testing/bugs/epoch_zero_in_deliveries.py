"""A delivery names epoch 0, whatever epoch its messages lie in."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core import delivery
from reference.core.delivery import Piece
from reference.window import Window
from reference.wire import messages as m

_cut = delivery._cut


def cut_without_epoch(
    piece: Piece, begin: int, stop: int, window: Window
) -> tuple[tuple[m.Run, ...], bytes, bytes] | None:
    """Cut as always, and name epoch 0 in every run."""
    cut = _cut(piece, begin, stop, window)
    if cut is None:
        return None
    runs, lengths, body = cut
    named = (m.Run(r.producer, r.n_first, r.count, 0, r.bucket_count) for r in runs)
    return tuple(named), lengths, body


BUG = PlantedBug(
    name="epoch-zero-in-deliveries",
    summary="The epoch in deliveries is always 0.",
    category=Category.EPOCH,
    replaces="the cutting of deliveries",
    named_by=("C9",),
    trial=Trial(scenario="offline", settings={"bucket_count": "4"}),
    patches=(Patch(owner=delivery, name="_cut", replacement=cut_without_epoch),),
)
