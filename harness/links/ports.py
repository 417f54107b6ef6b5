"""Ports of a run: a block below the kernel's own range, held by one run at a time.

A block is held by listening on its first port for as long as the run lives. The kernel lets go of
it however the process ends, it is seen by every checkout and user of the machine, and it leaves no
file behind; network namespaces have blocks of their own, as they have ports of their own.
"""

from __future__ import annotations

import errno
import os
import socket

from harness.errors import HarnessError

LOOPBACK = "127.0.0.1"
"""The only address that anything of a run listens on."""

FIRST_PORT = 20_000
"""Start of the first block."""

END_PORT = 32_768
"""Blocks end before this port: the kernels' ranges for outgoing connections begin there or later,
so no outgoing connection can take a port while its proxy is down."""

BLOCK_PORTS = 128
"""Ports per block, the one that holds it included."""


def can_listen(port: int) -> bool:
    """Say whether a server could listen on `port` now, as servers do (with SO_REUSEADDR)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


class PortBlock:
    """The ports of one run, made by `lock`. No other block overlaps it while this one is open.

    `holder` is the socket that listens on its first port. The block is free again after `close`,
    or when the process is gone in whatever way.
    """

    def __init__(self, holder: socket.socket, first: int) -> None:
        self._holder = holder
        self.first = first
        self._next = first + 1

    @classmethod
    def lock(cls) -> PortBlock:
        """Lock a free block.

        Raises:
            HarnessError: Every block is held by others.
        """
        starts = range(FIRST_PORT, END_PORT - BLOCK_PORTS + 1, BLOCK_PORTS)
        # Runs that start at the same time begin at different blocks and so seldom meet.
        turn = os.getpid() % len(starts)
        for first in (*starts[turn:], *starts[:turn]):
            holder = socket.socket()
            try:
                # SO_REUSEADDR is left out on purpose: two holders must never share a port.
                holder.bind((LOOPBACK, first))
                holder.listen(1)
            except OSError as error:
                holder.close()
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            return cls(holder, first)
        raise HarnessError(
            f"no free block of {BLOCK_PORTS} ports from {FIRST_PORT} to {END_PORT - 1};"
            " end other runs and try again"
        )

    @property
    def end(self) -> int:
        """The port after the last one of the block."""
        return self.first + BLOCK_PORTS

    def take(self) -> int:
        """Return a port of the block that was not taken before and that nobody listens on.

        Raises:
            HarnessError: The block is used up.
        """
        while self._next < self.end:
            port = self._next
            self._next += 1
            if can_listen(port):
                return port
        raise HarnessError(f"all {BLOCK_PORTS} ports of the run's block {self.first} are taken")

    def close(self) -> None:
        """Let others have the block. Idempotent."""
        self._holder.close()
