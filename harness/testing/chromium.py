"""A headless Chromium that shows one page after another, and tells what they did.

It is spoken to over a pipe in the DevTools protocol, so that it needs no port and no package.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

WITHIN_S = 60.0
"""An answer that takes longer never comes."""

READ_BYTES = 1 << 20

PHONE_BELOW_PX = 640

GROWTHS = 2
"""A page may become a little higher where more of it is in view; twice is enough."""

FD_MIN = 10


class BrowserGone(Exception):
    """The browser ended, refused a command, or did not answer in time."""


def find() -> str | None:
    """Return the browser on PATH, None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(slots=True, kw_only=True)
class Shown:
    """What a page did while it was shown."""

    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)


class Browser:
    """One tab of a browser; `opened` makes it."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self._write_fd = write_fd
        self._read_fd = read_fd
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []

    def attach(self) -> None:
        """Open the tab."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        answer = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def show(self, address: str, *, width: int, height: int, dark: bool) -> Shown:
        """Show a page as a screen of this size would, until it has loaded; tell what it did."""
        self._size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.command("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._read(time.monotonic() + WITHIN_S)
        return self.told()

    def ask(self, expression: str) -> Any:
        """Return what a JavaScript expression comes to, behind its promise."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserGone(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def grow(self, width: int) -> None:
        """Make the window as high as its page, so that all of it is in view."""
        for _ in range(GROWTHS):
            height = int(self.ask("document.documentElement.scrollHeight"))
            self._size(width, height)

    def _size(self, width: int, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < PHONE_BELOW_PX,
        )  # fmt: skip

    def close(self) -> None:
        """Ask the browser to end."""
        self._session = None
        self.command("Browser.close")

    def picture(self, path: Path) -> None:
        """Take a picture of the window."""
        answer = self.command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer.

        Raises:
            BrowserGone: It refuses, or does not answer in time.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        sent = json.dumps(message).encode() + b"\0"
        while sent:
            sent = sent[os.write(self._write_fd, sent) :]
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            found = self._read(deadline_s)
            if found.get("id") != self._number:
                continue
            if "error" in found:
                raise BrowserGone(f"{method}: {found['error']}")
            answer: dict[str, Any] = found["result"]
            return answer

    def _read(self, deadline_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read_fd], [], [], deadline_s - time.monotonic())
            piece = os.read(self._read_fd, READ_BYTES) if ready else b""
            if not piece:
                raise BrowserGone("it ended, or did not answer in time")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._events.append(message)
        return message

    def told(self) -> Shown:
        """Return what the page did since it was shown."""
        shown = Shown()
        for event in self._events:
            about = event.get("params", {})
            match event["method"]:
                case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                    shown.complaints.append(json.dumps(about))
                case "Network.requestWillBeSent":
                    shown.addresses.append(about["request"]["url"])
        return shown


@contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile in this folder, and end it behind the block."""
    program = find()
    if program is None:
        raise BrowserGone("no Chromium on PATH")
    child_reads, write_fd = _pipe_above()
    read_fd, child_writes = _pipe_above()
    words = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
        "--hide-scrollbars", f"--user-data-dir={profile}",
    ]  # fmt: skip
    process = subprocess.Popen(
        # The protocol is spoken on 3 and 4, whatever these are here.
        ["sh", "-c", f'exec "$@" 3</dev/fd/{child_reads} 4>/dev/fd/{child_writes}', "sh", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(child_reads, child_writes),
        env={**os.environ, "XDG_CONFIG_HOME": str(profile), "XDG_CACHE_HOME": str(profile)},
    )
    os.close(child_reads)
    os.close(child_writes)
    try:
        browser = Browser(write_fd, read_fd)
        browser.attach()
        yield browser
        browser.close()
        process.wait(timeout=WITHIN_S)
    finally:
        process.kill()
        process.wait()
        os.close(write_fd)
        os.close(read_fd)


def _pipe_above() -> tuple[int, int]:
    """Return a pipe whose ends are out of the way of the numbers 3 and 4."""
    ends = os.pipe()
    above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FD_MIN) for fd in ends]
    for fd in ends:
        os.close(fd)
    return above[0], above[1]
