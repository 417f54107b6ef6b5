"""After a commit that found the disk full, its batches count as known."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Group, Sequencer

_refused = Sequencer.refused


def refused_but_known(self: Sequencer, commit_no: int) -> tuple[Group, Group]:
    """Take positions back, and leave the producers' numbers where they were."""
    numbers = {
        key: lineage.n_assigned
        for group in (self._in_flight, self._gathering)
        if group is not None
        for key, lineage in group.lineages.items()
    }
    groups = _refused(self, commit_no)
    for key, n_assigned in numbers.items():
        if (lineage := self.lineages.get(key)) is not None and lineage.durable is not None:
            lineage.n_assigned = n_assigned
            lineage.durable = lineage.mark()
    return groups


BUG = PlantedBug(
    name="full-disk-keeps-numbers",
    summary="A batch that found the disk full is taken for known when it comes again.",
    category=Category.LOSS,
    replaces="the sequencer's going back",
    named_by=("A1", "A2", "B3"),
    trial=Trial(scenario="full"),
    patches=(Patch(owner=Sequencer, name="refused", replacement=refused_but_known),),
)
