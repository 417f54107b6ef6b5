"""A wheel of ours, installed elsewhere, beside a user's own folder `scenarios/`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from harness.provision.places import checkout_root

pytestmark = pytest.mark.integration

BUILD_TIMEOUT_S = 120.0

NATS_SERVER = "nats-server"

OURS = ("global_fan_in", "hotkey_bucketing", "offline_messaging")


def call(
    *arguments: str | Path,
    cwd: Path,
    codes: tuple[int, ...] = (0,),
    environment: dict[str, str] | None = None,
) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode in codes, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the sources, so that nothing is left in the checkout."""
    root = checkout_root()
    assert root is not None
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("reference", "harness", "scenarios", "tallystick"):
        shutil.copytree(root / name, source / name, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    call(*pip, "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    (built,) = folder.glob("tallystick-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new environment that borrows this one's packages."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    call(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home.parent)
    (packages,) = home.glob("lib/python*/site-packages")
    # Folders named in a .pth file come last, and .pth files inside them (such as that of an
    # editable install of this checkout) are not read.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # A package's program lies beside Python, which a .pth file does not bring.
    (home / "bin" / NATS_SERVER).symlink_to(Path(sysconfig.get_path("scripts")) / NATS_SERVER)
    return home


@pytest.fixture
def user_folder(tmp_path: Path) -> Path:
    """A user's project whose package `scenarios` has the name of ours, and of one of its files."""
    root = checkout_root()
    assert root is not None
    own = tmp_path / "scenarios"
    own.mkdir()
    (own / "__init__.py").write_text('raise RuntimeError("the user\'s package was imported")\n')
    text = (root / "scenarios" / "offline_messaging.py").read_text()
    assert '"offline_messaging"' in text
    (own / "late_login.py").write_text(text.replace('"offline_messaging"', '"late_login"'))
    (own / "offline_messaging.py").write_text("raise RuntimeError('this is not ours')\n")
    return tmp_path


def test_the_wheel_holds_all_that_is_needed(wheel: Path) -> None:
    root = checkout_root()
    assert root is not None
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
        entry_points = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    wanted = {
        str(path.relative_to(root))
        for top in ("reference", "harness", "scenarios", "tallystick")
        for path in (root / top).rglob("*")
        if path.suffix in {".py", ".sql", ".css", ".js"} or path.name == "py.typed"
    }
    assert wanted <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        *("reference", "harness", "scenarios", "tallystick")
    }
    assert "License-Expression: MIT" in text
    assert "tallystick = harness.cli.main:main" in entry_points


def test_neither_scenarios_folder_shadows_the_other(installed: Path, user_folder: Path) -> None:
    tallystick = installed / "bin" / "tallystick"
    for command in ((tallystick,), (installed / "bin" / "python", "-m", "tallystick")):
        listed = json.loads(call(*command, "list", "--json", cwd=user_folder))
        names = {entry["name"] for entry in listed}
        assert set(OURS) <= names
        call(*command, "show", "offline-messaging", cwd=user_folder)
        shown = call(*command, "show", "./scenarios/late_login.py", "--json", cwd=user_folder)
        assert json.loads(shown)["name"] == "late_login"


def test_the_code_that_runs_is_the_wheels(installed: Path, user_folder: Path) -> None:
    print_places = (
        "import harness, reference, tallystick\n"
        "print(harness.__file__, reference.__file__, tallystick.__file__)"
    )
    places = call(installed / "bin" / "python", "-c", print_places, cwd=user_folder).split()
    assert all(Path(place).is_relative_to(installed.resolve()) for place in places)


OWN_PHASE = '''

@check("X1", "DOUBLE-ATTEMPT", "a batch needed a third attempt")
class Attempts:
    sees = (records.Completed,)

    def __init__(self) -> None:
        self.seen = 0

    def see(self, record, index, run) -> None:
        self.seen += 1

    def finish(self, facts) -> Found:
        return Found(examined=self.seen)


@fault("nothing_much")
@dataclass(frozen=True, slots=True, kw_only=True)
class NothingMuch:
    kind: ClassVar[str]
    aims_at: ClassVar[str] = "link"
    duration_s: float = 0.0

    async def inject(self, target):
        return {"connections": as_link(target).connections() or 0}

    def is_effective(self, effect):
        return effect["connections"] > 0

    async def heal(self, target):
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class InRounds:
    """The same phases several times over."""

    name: ClassVar[str] = "in_rounds"
    times: int
    phases: tuple[Phase, ...]

    async def carry_out(self, hands: Hands) -> None:
        for number in range(self.times):
            hands.note(f"round {number + 1} at {hands.now_ns()} ns")
            for phase in self.phases:
                await hands.perform(phase)
'''


def test_a_scenario_of_ones_own_from_nothing(
    installed: Path, tmp_path: Path, toxiproxy_binary: Path
) -> None:
    """In a new folder: make a scenario, edit it, add a check, a fault and a phase, run it."""
    tallystick = installed / "bin" / "tallystick"
    assert "made late_login.py" in call(tallystick, "new", "scenario", "late_login", cwd=tmp_path)
    path = tmp_path / "late_login.py"
    text = path.read_text()
    text = text.replace(
        "from tallystick import (",
        "from dataclasses import dataclass\nfrom typing import ClassVar\n\nfrom tallystick import ("
        "\n    Found, Hands, Phase, Send, as_link, check, fault, records,",
    )
    text = text.replace("\n\n\ndef plan(", f"{OWN_PHASE}\n\ndef plan(")
    send = 'Send(stream=Stream(to=("bob",), count=30))'
    text = text.replace(
        "            Login(",
        f"            InRounds(times=3, phases=({send},)),\n            Login(",
    )
    text = text.replace("LinkCut(duration_s=0.5)", "NothingMuch()")
    path.write_text(text)
    words = ("run", "./late_login.py", "--profile", "smoke", "--seed", "7", "--out", "kept")
    words += ("--set", "vary=false")  # So that all can be counted.
    environment = {**os.environ, "TALLYSTICK_TOXIPROXY": str(toxiproxy_binary)}
    call(tallystick, *words, cwd=tmp_path, codes=(0, 4), environment=environment)
    result = json.loads((tmp_path / "kept" / "result.json").read_bytes())
    history = (tmp_path / "kept" / "history" / "0000.msgpack").read_bytes()
    assert b"in_rounds" in history
    assert result["run"]["scenario_source"] == "./late_login.py"
    # One planned fault, on the link of each of the two senders.
    assert {one["kind"] for one in result["faults"]} == {"nothing_much"}
    assert len({one["id"] for one in result["faults"]}) == 1
    targets = sorted(one["target"] for one in result["faults"])
    assert targets == ["client-edge:here:sender-0", "client-edge:here:sender-1"]
    (own,) = [one for one in result["checks"] if one["id"] == "X1"]
    assert own["status"] == "PASS"
    # 500 a second for 2 s, and three rounds of 30.
    assert result["counts"]["delivered"] == 1_000 + 90
    call(tallystick, "check", "kept", "--load", "late_login.py", cwd=tmp_path, codes=(0, 4))
    # The plugin is there by its entry point alone.
    test = 'def test_it(tallystick):\n    tallystick.run("late_login.py", duration_s=1.0)\n'
    (tmp_path / "test_mine.py").write_text(test)
    python = installed / "bin" / "python"
    told = call(
        python, "-m", "pytest", "-p", "no:cacheprovider", cwd=tmp_path, environment=environment
    )
    assert "1 passed" in told
    assert f"results in {tmp_path}/results/pytest/" in told


def test_a_scenario_of_ones_own_runs_on_a_broker(
    installed: Path, tmp_path: Path, toxiproxy_binary: Path
) -> None:
    """In a new folder: make a scenario, edit it, run it on NATS, with the limit it came with."""
    tallystick = installed / "bin" / "tallystick"
    call(tallystick, "new", "scenario", "late_login", cwd=tmp_path)
    path = tmp_path / "late_login.py"
    text = path.read_text()
    assert 'to=("bob",), producers=2' in text
    path.write_text(text.replace('to=("bob",), producers=2', 'to=("bob",), producers=3'))
    words = ("run", "./late_login.py", "--system", "nats", "--profile", "smoke", "--out", "kept")
    words += ("--set", "vary=false")  # So that all can be counted.
    environment = {**os.environ, "TALLYSTICK_TOXIPROXY": str(toxiproxy_binary)}
    call(tallystick, *words, cwd=tmp_path, environment=environment)
    result = json.loads((tmp_path / "kept" / "result.json").read_bytes())
    assert (result["system"]["place"], result["verdict"]["limits"]) == ("nats", "MET")
    assert result["counts"]["delivered"] == result["counts"]["sends"]["ok"]
    # 500 a second for 2 s, in three rhythms.
    assert 997 <= result["counts"]["delivered"] <= 1_003
    cut = {one["target"] for one in result["faults"] if one["effective"]}
    assert cut == {f"client-edge:here:sender-{number}" for number in range(3)}


def test_doctor_and_clean_work_from_the_wheel(installed: Path, user_folder: Path) -> None:
    (user_folder / "results").mkdir()
    tallystick = installed / "bin" / "tallystick"
    assert "0 to remove" in call(tallystick, "clean", "--dry-run", cwd=user_folder)
    done = subprocess.run(
        [tallystick, "doctor", "--json"],
        cwd=user_folder,
        env={"PATH": "/usr/bin:/bin", "TALLYSTICK_CACHE": str(user_folder / "cache")},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    # Nothing brought Toxiproxy to that cache, and doctor brings nothing.
    assert done.returncode == 70
    states = {finding["name"]: finding["state"] for finding in json.loads(done.stdout)}
    assert states["toxiproxy"] == "missing"
    assert states["packages"] == "ok"
