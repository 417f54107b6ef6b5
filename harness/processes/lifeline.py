"""Run a command that ends when our standard input does.

For programs that do not watch a lifeline themselves, such as Toxiproxy:

    python lifeline.py COMMAND [ARGUMENT…]

The command's standard input is empty; its output is ours. When our own standard input reaches its
end, which happens when the process that started us is gone however it went, the command is killed.
Signals to end, hang up, interrupt and the two user signals are passed on. We end as the command
ended: with its exit code, or by the signal that killed it, so nothing is hidden. On Linux the
command also dies when we are killed; elsewhere only end-of-file protects it.

The file imports nothing of this project: it is started as a plain script, to cost little.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
COULD_NOT_EXECUTE = 127
"""Exit code for a command that cannot be started, as shells have it."""

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    # We have a single thread, so the death of "the thread that forked" is our own death.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(COULD_NOT_EXECUTE)


def _become(command: list[str], parent: int) -> None:
    """Turn the forked child into the command; does not return."""
    try:
        _die_with_parent(parent)
        for number in (*FORWARDED, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(COULD_NOT_EXECUTE)


def _end_like(status: int) -> None:
    """End as a child with this wait status did; does not return."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        # The command has left its core, if any; a second one of ours would only mislead.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def supervise(command: list[str]) -> None:
    """Start the command and stay until it has ended; does not return."""
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    ourselves = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, ourselves)
    watched = [0, wake]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if wake in ready:
            for received in os.read(wake, 4096):
                if received in FORWARDED:
                    os.kill(child, received)
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == child:
                _end_like(status)
        if 0 in ready and not os.read(0, 4096):
            watched.remove(0)
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: lifeline.py COMMAND [ARGUMENT…]")
    supervise(sys.argv[1:])
