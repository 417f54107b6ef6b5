"""When the disk is full, the numbers that were taken behind the commit under way are kept."""

from __future__ import annotations

from harness.testing.bugs.registry import Category, Patch, PlantedBug, Trial
from reference.core.sequencing import Group, Sequencer

_refused = Sequencer.refused


def refused_under_way_only(self: Sequencer, commit_no: int) -> tuple[Group, Group]:
    """Forget to take the numbers of the gathering group back."""
    taken = {key: lineage.n_assigned for key, lineage in self._gathering.lineages.items()}
    in_flight, gathering = _refused(self, commit_no)
    for key, n_assigned in taken.items():
        if key not in in_flight.lineages and key in self.lineages:
            self.lineages[key].n_assigned = n_assigned
    return in_flight, gathering


BUG = PlantedBug(
    name="full-disk-knows-who-waited",
    summary="What gathered behind a commit that found the disk full counts as known.",
    category=Category.LOSS,
    replaces="the sequencer's going back",
    named_by=("A1", "A2", "B3"),
    trial=Trial(scenario="full"),
    patches=(Patch(owner=Sequencer, name="refused", replacement=refused_under_way_only),),
)
