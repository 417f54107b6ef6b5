"""Command lines with their secrets hidden: the one that we show, and the one the kernel shows.

What was typed as an argument can be read by every user of the machine for as long as the process
lives. On Linux it is written over at once, in place; elsewhere it stays, which the help says.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.addresses import HIDDEN, masked

_SECRETS = ("--password", "--token")
_ADDRESSES = ("--endpoint",)

_ARG_START, _ARG_END = 45, 46
"""Fields of /proc/self/stat behind the command's name (proc(5) counts them 48 and 49, from 1)."""


def hide_secrets(
    words: Sequence[str], fill: Callable[[str], str] = lambda _secret: HIDDEN
) -> list[str]:
    """Return the words of a command line without secrets: options that hold one, and URLs."""
    shown: list[str] = []
    before = ""
    for word in words:
        name, equals, value = word.partition("=")
        if before in _SECRETS:
            shown.append(fill(word))
            before = ""
            continue
        if equals and name in _SECRETS:
            shown.append(f"{name}={fill(value)}")
        elif equals and name in _ADDRESSES:
            shown.append(f"{name}={masked(value, fill, bare=True)}")
        else:
            shown.append(masked(word, fill, bare=before in _ADDRESSES))
        before = word
    return shown


def _stars(secret: str) -> str:
    return "*" * len(os.fsencode(secret))


def overwrite_arguments() -> None:
    """Write stars over the secrets among this process' arguments, as the kernel shows them.

    Python's own copies stay as they are. Does nothing where there is no /proc.
    """
    if sys.platform != "linux":
        return
    try:
        typed = Path("/proc/self/cmdline").read_bytes()
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, ValueError, IndexError):
        return
    words = [os.fsdecode(word) for word in typed.split(b"\0")]
    hidden = os.fsencode("\0".join(hide_secrets(words, _stars)))
    if start and hidden != typed and len(hidden) == len(typed) <= end - start:
        ctypes.memmove(start, hidden, len(hidden))
