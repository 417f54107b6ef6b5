"""What valkey-py raises, in the server's own words."""

from __future__ import annotations

from valkey.exceptions import (
    BusyLoadingError,
    ExecAbortError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
)

_CODES: dict[type[Exception], str] = {
    BusyLoadingError: "LOADING",
    ExecAbortError: "EXECABORT",
    NoPermissionError: "NOPERM",
    NoScriptError: "NOSCRIPT",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
}


def in_words(error: Exception) -> str:
    """Return what the server said; valkey-py takes the code off where it has a class for it."""
    text = str(error) or type(error).__name__
    code = _CODES.get(type(error))
    return text if code is None or text.startswith(code) else f"{code} {text}"
