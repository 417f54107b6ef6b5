"""The environment of the Python processes that a run starts."""

from __future__ import annotations

import os

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "268435456", "MALLOC_TRIM_THRESHOLD_": "268435456"}
"""Keeps glibc from handing every large short-lived block back to the kernel, whose page faults cost
ten times what gathering a batch does. Other C libraries ignore it."""


THREADS = {"OPENBLAS_NUM_THREADS": "1"}
"""Keeps numpy's linear algebra, which nothing here uses, from starting a thread per processor: 30
ms of each start, and its memory."""


def child_environment() -> dict[str, str]:
    """Return our own environment with these settings; the user's own settings win."""
    return {**ALLOCATOR, **THREADS, **os.environ}
