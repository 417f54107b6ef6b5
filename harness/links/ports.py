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

BLOCKS_MAX = 16
"""Blocks that one run may hold: 2,032 ports, six times what 64 actors at five edges take."""


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
    """The ports of one run, made by `lock`. No other run has them while this one is open.

    It begins with one block and locks another, wherever one is free, when the first is used up:
    how many proxies a run needs is known only while they are opened. `first` and `end` are those
    of its first block. It is free again after `close`, or when the process is gone in whatever way.
    """

    def __init__(self, holder: socket.socket, first: int) -> None:
        self._holders = [holder]
        self.first = first
        self._next = first + 1
        self._end = first + BLOCK_PORTS

    @classmethod
    def lock(cls) -> PortBlock:
        """Lock a free block.

        Raises:
            HarnessError: Every block is held by others.
        """
        return cls(*_hold_block())

    @property
    def end(self) -> int:
        """The port after the last one of the first block."""
        return self.first + BLOCK_PORTS

    def take(self) -> int:
        """Return a port that was not taken before and that nobody listens on.

        Raises:
            HarnessError: The run holds as many blocks as it may, or no other is free.
        """
        while True:
            while self._next < self._end:
                port = self._next
                self._next += 1
                if can_listen(port):
                    return port
            if len(self._holders) == BLOCKS_MAX:
                raise HarnessError(f"all ports of the run's {BLOCKS_MAX} blocks are taken")
            holder, first = _hold_block()
            self._holders.append(holder)
            self._next, self._end = first + 1, first + BLOCK_PORTS

    def close(self) -> None:
        """Let others have the ports. Idempotent."""
        for holder in self._holders:
            holder.close()


def _hold_block() -> tuple[socket.socket, int]:
    """Return the socket that holds a block which was free, and the block's first port."""
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
        return holder, first
    raise HarnessError(
        f"no free block of {BLOCK_PORTS} ports from {FIRST_PORT} to {END_PORT - 1};"
        " end other runs and try again"
    )
