"""What TLS on every hop costs: CPU per message of core, edge and clients, with it and without.

Real nodes on loopback, without proxies; rounds of both kinds alternate, so that a machine that
changes its speed changes both. CPU time, not the clock: it says little of latency.

    python -m benchmarks.tls_cost [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec

from harness.systems.reference.certificates import Certificates, make_certificates
from harness.testing.keys import edge_token
from harness.testing.nodes import CORE_KEYS, EDGE_KEYS, Node, Reader, Writer, until
from reference.node.client_hub import ClientHub
from reference.node.tls import trust

SHAPES = {"batches of 100 messages": (400, 100), "single messages": (4_000, 1)}
"""Batches of a round and messages in each."""

SIZE_BYTES = 100

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def measure(certificates: Certificates | None, batches: int, count: int) -> float:
    """Return the CPU time per message in µs, from a writer to a reader."""
    with tempfile.TemporaryDirectory() as folder:
        core_tls = edge_tls = trusted = None
        if certificates is not None:
            core_tls = msgspec.to_builtins(certificates.core)
            edge_tls = msgspec.to_builtins(certificates.edge)
            trusted = trust(certificates.authority, "edge")
        database = str(Path(folder) / "core.db")
        core = Node("core", {"database": database, "core": CORE_KEYS, "tls": core_tls})
        settings = {"name": "eu", "token": edge_token("eu"), **EDGE_KEYS}
        edge = Node("edge", {"core_port": core.port, "edge": settings, "tls": edge_tls})
        try:
            async with ClientHub(trusted) as hub:
                writer, reader = Writer(hub), Reader(hub, "ann")
                await writer.client.connect("127.0.0.1", edge.port)
                await reader.login(edge.port)
                pids = [core.process.pid, edge.process.pid]
                begun = sum(map(cpu_s, pids)) + time.process_time()
                for n in range(batches):
                    writer.write("ann", count, size_bytes=SIZE_BYTES)
                    if n % 100 == 0:
                        await anyio.lowlevel.checkpoint()
                await writer.all_acked()
                await until(lambda: reader.next_pos == batches * count, "all is read", 120)
                used = sum(map(cpu_s, pids)) + time.process_time() - begun
        finally:
            edge.close()
            core.close()
    return used / (batches * count) * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder))
        for shape, (batches, count) in SHAPES.items():
            found: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(rounds):
                for tls in found:
                    who = certificates if tls else None
                    found[tls].append(anyio.run(measure, who, batches, count))
            plain, secure = (statistics.median(found[tls]) for tls in (False, True))
            print(f"{shape}: {plain:.1f} µs of CPU a message, with TLS {secure:.1f} µs")


if __name__ == "__main__":
    main()
