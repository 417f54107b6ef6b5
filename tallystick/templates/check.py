"""Template title: a check of one's own, and a small scenario to try it with.

Try it with ``tallystick run ./template_name.py``. Have it made in other runs with ``--load
./template_name.py``, or for good by an entry point of your package::

    [project.entry-points."tallystick.checks"]
    template_name = "your_package.template_name"
"""

from tallystick import (
    Clue,
    Drain,
    Found,
    Load,
    Login,
    Plan,
    Scenario,
    Stream,
    Topology,
    check,
    records,
)

ATTEMPTS_MAX = 3
"""A batch may be handed over so often before this check calls it an anomaly."""


@check("X1", "MANY-ATTEMPTS", "a batch was handed over more often than ATTEMPTS_MAX")
class TemplateName:
    """Sees records as they pass, in the order of time, and answers at the end.

    It must be pure: no clock, socket or random source. The history may be long, so it keeps counts
    and a few clues, never the records.
    """

    sees = (records.Completed,)

    def __init__(self) -> None:
        self._examined = 0
        self._instances = 0
        self._clues: list[Clue] = []

    def see(self, record: records.Completed, index: object, run: object) -> None:
        """Take a record of a type in `sees`."""
        self._examined += 1
        if record.attempts <= ATTEMPTS_MAX:
            return
        self._instances += 1
        if len(self._clues) < 8:
            self._clues.append(
                Clue(
                    summary=f"{record.attempts} attempts for {record.count} messages to "
                    f"{record.inbox}, at most {ATTEMPTS_MAX} are allowed",
                    inbox=record.inbox,
                    producer=record.producer,
                    n=record.n_first,
                )
            )

    def finish(self, facts: object) -> Found:
        """Return what was found; with nothing examined the check ends UNKNOWN."""
        return Found(examined=self._examined, instances=self._instances, clues=self._clues)


SCENARIO = Scenario(
    name="template_name",
    claim="On a quiet link nothing has to be sent again and again.",
    checks=("X1",),
    plan=Plan(
        topology=Topology(edges=("here",)),
        phases=(
            Login(inboxes=("bob",)),
            Load(duration_s=1.0, streams=(Stream(to=("bob",), rate_per_s=500),)),
            Drain(),
        ),
    ),
)
