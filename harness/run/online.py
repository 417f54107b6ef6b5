"""The live view's fold: the same checks over the same files, while a run is still writing them.

What it shows is what the records so far amount to. The verdict is folded anew from the whole files
at the end; nothing that happens here can change it.
"""

from __future__ import annotations

from pathlib import Path

from harness.checkers.fold import Fold
from harness.history.reader import Tail
from harness.run.aftermath import Aftermath
from harness.run.brief import read_brief
from harness.run.judge import HISTORY_FOLDER, facts_of

PAUSE_FACTOR = 10
"""Folding rests for this many times as long as it took, so that watching costs a tenth at most."""

PAUSE_S_MIN = 2.0
"""It rests for so long at least."""


class OnlineFold:
    """Follows the history of one run. Blocks while it works: call it from a thread."""

    def __init__(self, run_dir: Path) -> None:
        facts = facts_of(read_brief(run_dir), Aftermath(), torn=True)
        self._fold = Fold(facts)
        self._tail = Tail(run_dir / HISTORY_FOLDER)

    def states(self) -> dict[str, str]:
        """Take in what is new and return the present status of each check by id.

        Raises:
            DamagedHistory: A file is not what its recorder wrote.
        """
        for record in self._tail.poll():
            self._fold.take(record)
        return self._fold.states()

    def close(self) -> None:
        """Close the files."""
        self._tail.close()
