"""What a run leaves behind besides its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.history.records import LinkCounted, PartTold, Record, TroubleSeen
from harness.report.result import ClientError, Fault, LinkCoverage, Process
from harness.run.verdict import Finding

PARTS = ("faults", "processes", "client_errors", "config", "senders", "commits")
"""What the runner writes into its history as it stands in the result; see `Aftermath.parts`."""

HARNESS_ROLE = "harness"
"""The role of the process that judges."""


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """Filled while a run is carried out and taken down.

    Attributes:
        findings: What happened besides the checks: trouble of the harness, a stuck drain.
        faults: The journal of the faults.
        processes: What every process used.
        coverage: What went through each proxy, compared with its clients' own counts.
        traffic: (connections, bytes read) per link, as the clients counted.
        config: The settings of the system that were in force.
        commits: Durable commits that the system reported; 0 if it does not tell.
        client_errors: What clients were told by the system, by kind.
        senders: The name of each sender, by its producer as text.
        killed_segments: Names of recorders whose process was killed by a fault.
    """

    findings: list[Finding] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    coverage: list[LinkCoverage] = field(default_factory=list)
    traffic: dict[str, tuple[int, int]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    commits: int = 0
    client_errors: list[ClientError] = field(default_factory=list)
    senders: dict[str, str] = field(default_factory=dict)
    killed_segments: list[str] = field(default_factory=list)

    def parts(self) -> dict[str, Any]:
        """Return what the runner alone knows, by the names in `PARTS`, as plain values.

        What the harness itself used is not among it, since that counts the judging in.
        """
        bare = [msgspec.structs.replace(one, cpu_us_per_message=None) for one in self.processes]
        told = {
            "faults": self.faults,
            "processes": [one for one in bare if one.role != HARNESS_ROLE],
            "client_errors": self.client_errors,
            "config": self.config,
            "senders": self.senders,
            "commits": self.commits,
        }
        # As it comes back from a file, so that both can be compared.
        return {name: msgspec.json.decode(msgspec.json.encode(part)) for name, part in told.items()}

    def add_traffic(self, link: str, connections: int, bytes_read: int) -> None:
        """Add what one load process counted on a link."""
        before = self.traffic.get(link, (0, 0))
        self.traffic[link] = (before[0] + connections, before[1] + bytes_read)


def closing_records(aftermath: Aftermath, t_ns: int) -> list[Record]:
    """Return what the runner writes into its history at the end: all that it alone knows so far."""
    links = [
        LinkCounted(
            t_ns=t_ns,
            link=row.link,
            connections=row.connections,
            forwarded=row.connections if row.forwarded is None else row.forwarded,
            connections_counted=row.connections_counted,
            bytes_up=row.bytes_up or 0,
            bytes_down=row.bytes_down or 0,
            bytes_counted=row.bytes_counted,
            counted=row.counted,
        )
        for row in aftermath.coverage
    ]
    troubles = [
        TroubleSeen(
            t_ns=t_ns, status=one.status.value, reason_code=one.reason_code, reason=one.reason
        )
        for one in aftermath.findings
    ]
    parts = [
        PartTold(t_ns=t_ns, part=name, value=msgspec.json.encode(part).decode())
        for name, part in aftermath.parts().items()
    ]
    return [*links, *troubles, *parts]
