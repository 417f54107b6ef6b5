"""The environment of the processes that a run starts."""

from __future__ import annotations

import os

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "268435456"}
"""Keeps glibc from handing every large short-lived block back to the kernel, whose page faults cost
ten times what gathering a batch does. Other C libraries ignore it."""


THREADS = {"OPENBLAS_NUM_THREADS": "1"}
"""Keeps numpy's linear algebra, which nothing here uses, from starting a thread per processor: 30
ms of each start, and its memory."""

PASSWORD_VARIABLE = "TALLYSTICK_PASSWORD"
TOKEN_VARIABLE = "TALLYSTICK_TOKEN"


def plain_environment() -> dict[str, str]:
    """Return our own environment without secrets, for whoever logs in nowhere."""
    secret = (PASSWORD_VARIABLE, TOKEN_VARIABLE)
    return {name: value for name, value in os.environ.items() if name not in secret}


def child_environment() -> dict[str, str]:
    """Return the environment of a Python process of ours; the user's own settings win."""
    return {**ALLOCATOR, **THREADS, **plain_environment()}
