"""A wheel of ours, installed elsewhere, beside a user's own folder `scenarios/`."""

from __future__ import annotations

import json
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

OURS = ("global_fan_in", "hotkey_bucketing", "offline_messaging")


def call(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
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
        if path.is_file() and (path.suffix in {".py", ".sql"} or path.name == "py.typed")
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
