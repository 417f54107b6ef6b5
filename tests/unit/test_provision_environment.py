"""The facts about the machine, what is odd about them, and what doctor makes of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.errors import SetupError
from harness.provision import doctor, environment, places
from harness.provision.doctor import Finding, State
from harness.provision.toxiproxy import Toxiproxy
from harness.report.result import Environment

FINE = environment.Machine(
    filesystem="ext4", fsync_ms_p50=0.6, cpu_count=2, memory_bytes=2**34, open_files=4096
)
SERVER = Toxiproxy(
    path=Path("/x"), version="2.9.0", sha256="0" * 64, source="path", warnings=("another version",)
)


def no_docker() -> str:
    raise SetupError("no Docker engine answers (none here)")


def test_environment_is_what_a_result_holds(tmp_path: Path) -> None:
    found = environment.environment(tmp_path / "not" / "there", SERVER)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Environment) == found
    assert found.toxiproxy is not None
    assert found.toxiproxy.version == "2.9.0"
    assert "another version" in found.flags
    assert found.cpu_count >= 1
    assert found.memory_bytes > 2**28
    assert found.fsync_ms_p50 is not None
    assert found.fsync_ms_p50 > 0
    assert list(tmp_path.iterdir()) == []


def test_a_missing_toxiproxy_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_TOXIPROXY", str(tmp_path / "nothing"))
    assert environment.environment(tmp_path).toxiproxy is None


def test_nothing_is_odd_about_a_usual_machine() -> None:
    assert environment.odd(FINE) == {}
    assert environment.odd(replace(FINE, fsync_ms_p50=None)) == {}


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (replace(FINE, filesystem="tmpfs"), "filesystem"),
        (replace(FINE, filesystem="overlay"), "filesystem"),
        (replace(FINE, fsync_ms_p50=0.001), "fsync"),
        (replace(FINE, fsync_ms_p50=80.0), "fsync"),
        (replace(FINE, cpu_count=1), "cpu"),
        (replace(FINE, open_files=1023), "open files"),
    ],
)
def test_what_is_odd(machine: environment.Machine, name: str) -> None:
    assert list(environment.odd(machine)) == [name]


def test_the_deepest_and_latest_mount_tells_the_filesystem(tmp_path: Path) -> None:
    place = tmp_path / "with space"
    place.mkdir()
    escaped = str(place.resolve()).replace(" ", "\\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - overlay overlay rw\n"
        f"2 1 8:1 / {escaped} rw,noatime shared:1 - xfs /dev/sda1 rw\n"
        f"3 1 8:1 / {escaped} rw - tmpfs tmpfs rw\n"
        f"4 1 8:1 / {escaped}-other rw - ext4 /dev/sda2 rw\n"
        "damaged\n"
    )
    assert environment.filesystem(place, mounts) == "tmpfs"
    assert environment.filesystem(tmp_path, mounts) == "overlay"
    assert environment.filesystem(place, tmp_path / "nothing") == "unknown"


def test_doctor_says_what_is_missing_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TALLYSTICK_TOXIPROXY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "measure", lambda folder: replace(FINE, filesystem="tmpfs"))
    found = {
        finding.name: finding for finding in doctor.examine(tmp_path, docker_version=no_docker)
    }
    assert found["toxiproxy"].state is State.MISSING
    assert "tallystick setup" in found["toxiproxy"].advice
    assert found["go"].state is State.ABSENT
    assert found["docker"].state is State.ABSENT
    assert found["filesystem"].state is State.ODD
    assert found["fsync"].state is State.OK
    assert not doctor.can_run(list(found.values()))
    assert doctor.can_run([item for name, item in found.items() if name != "toxiproxy"])


def test_doctor_sees_an_engine_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "measure", lambda folder: replace(FINE, fsync_ms_p50=None))
    found = {
        finding.name: finding for finding in doctor.examine(tmp_path, docker_version=lambda: "28")
    }
    assert found["docker"] == Finding(name="docker", state=State.OK, found="engine 28 answers")
    assert found["results"].state is State.MISSING


def test_doctor_compares_the_packages_with_the_pins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"anyio": "4.0", "numpy": "2.4"}

    def version(name: str) -> str:
        if name not in versions:
            raise doctor.PackageNotFoundError(name)
        return versions[name]

    declared = ["anyio>=4.9", "Num_Py>=2", "uvloop; sys_platform != 'win32'", "x; extra == 'test'"]
    (tmp_path / "constraints.txt").write_text("# pins\nanyio==4.0\nnumpy==2.4\ngo-bin==1.27.3\n")
    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "requires", lambda name: declared)
    monkeypatch.setattr(doctor, "checkout_root", lambda: tmp_path)
    missing = doctor._packages()
    assert (missing.state, missing.found) == (State.MISSING, "missing: num-py, uvloop")
    declared[1:] = ["numpy>=2"]
    assert doctor._packages().state is State.OK
    versions["numpy"] = "2.3"
    assert doctor._packages().found == "numpy 2.3 instead of 2.4"


def test_constraints_hold_names_and_exact_versions_only() -> None:
    root = places.checkout_root()
    assert root is not None
    lines = (root / "constraints.txt").read_text().splitlines()
    pinned = doctor.pinned_packages("\n".join(lines))
    assert len(pinned) == len(lines)
    assert set(doctor._needed()) <= set(pinned)
