"""Makes connections of a running Toxiproxy end by a reset, from outside and at any moment.

Toxiproxy sets SO_LINGER 0 only when a connection begins, and then *every* close of it is a reset:
what a slow reader has not taken yet is lost at an orderly close. On Linux a process may borrow a
socket of another one that it could trace (pidfd_getfd, 5.6), and options belong to the socket. So
linger is set at the moment in which a link is reset, and all other closes stay in order.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio

_PIDFD_GETFD = 438
"""The number of the system call, the same on every architecture."""

_RESET = struct.pack("ii", 1, 0)
_IN_ORDER = struct.pack("ii", 0, 0)


class ProxySockets:
    """The sockets of one process, borrowed for a moment each.

    Args:
        pid: Returns its id, None while it does not run.
    """

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._turn = anyio.Lock()

    @property
    def reachable(self) -> bool:
        """Whether this process may borrow them; not so off Linux and in hardened containers."""
        try:
            for _ in self._borrowed():
                return True
        except OSError:
            return False
        return False

    @asynccontextmanager
    async def resetting(self, listen_port: int, upstream_port: int) -> AsyncIterator[None]:
        """Let connections that are open now end by a reset if they are closed inside.

        Those accepted on the listening port, and all to the upstream's port: which of them belong
        together nobody can tell, so another link to the same upstream that is closed meanwhile, in
        a few milliseconds, is reset on that side too. Those that are left close in order again.
        One at a time: the end of one would undo what another one has set.

        Raises:
            OSError: The sockets cannot be borrowed.
        """
        async with self._turn:
            self._set(_RESET, listen_port, upstream_port)
            try:
                yield
            finally:
                self._set(_IN_ORDER, listen_port, upstream_port)

    def _set(self, linger: bytes, listen_port: int, upstream_port: int) -> None:
        for one in self._borrowed():
            with contextlib.suppress(OSError):  # It listens, or has ended.
                if one.getsockname()[1] == listen_port or one.getpeername()[1] == upstream_port:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _borrowed(self) -> Iterator[socket.socket]:
        """Yield each socket; it is given back before the next, or its owner could not close it."""
        pid = self._pid()
        if pid is None or sys.platform != "linux":
            return
        pidfd = os.pidfd_open(pid)
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                if (taken := _take(pidfd, int(name), f"/proc/{pid}/fd/{name}")) is not None:
                    with taken:
                        yield taken
        finally:
            os.close(pidfd)


def _take(pidfd: int, number: int, path: str) -> socket.socket | None:
    """Return a duplicate of another process's TCP socket; None where the number is none."""
    try:
        if not os.readlink(path).startswith("socket:"):
            return None
    except OSError:
        return None  # Closed meanwhile.
    libc = ctypes.CDLL(None, use_errno=True)
    own = libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    if own < 0:
        code = ctypes.get_errno()
        if code == errno.EBADF:  # Closed meanwhile.
            return None
        raise OSError(code, os.strerror(code))
    taken = socket.socket(fileno=own)
    if taken.family in (socket.AF_INET, socket.AF_INET6):
        return taken
    taken.close()
    return None
