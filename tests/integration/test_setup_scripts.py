"""The scripts as a user starts them: arguments, exit codes, signals, the lock, missing Python.

They run in a small copy of the project whose `.venv/bin/python` is a stand-in that writes down how
it was called, so that nothing is installed and no network is used.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.provision import venv
from harness.provision.places import checkout_root

pytestmark = pytest.mark.integration

WAIT_S = 20.0

STAND_IN = """#!/bin/sh
printf '%s' "$0" >> "$CALLS"
for argument in "$@"; do
    case "$argument" in
    *' '*) printf ' [%s]' "$argument" >> "$CALLS" ;;
    *) printf ' %s' "$argument" >> "$CALLS" ;;
    esac
done
echo >> "$CALLS"
case "$*" in
*harness.provision*) exit "${SETUP_CODE:-0}" ;;
*"$WAITS_AT"*) exec sleep 60 ;;
esac
exit "${CODE:-0}"
"""


class Project:
    """A copy of what the scripts use, with a stand-in for the environment."""

    def __init__(self, folder: Path) -> None:
        root = checkout_root()
        assert root is not None
        self.root = folder / "the project"
        shutil.copytree(root / "scripts", self.root / "scripts")
        shutil.copytree(root / "harness" / "provision", self.root / "harness" / "provision")
        (self.root / "harness" / "processes").mkdir()
        for name in (
            "harness/__init__.py",
            "harness/errors.py",
            "harness/processes/__init__.py",
            "harness/processes/environment.py",
            "pyproject.toml",
        ):
            shutil.copy(root / name, self.root / name)
        shutil.copy(root / "constraints.txt", self.root)
        bin_folder = self.root / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        for name in ("python", "ruff", "mypy", "lint-imports"):
            (bin_folder / name).write_text(STAND_IN)
            (bin_folder / name).chmod(0o755)
        (self.root / ".venv" / "pyvenv.cfg").write_text(
            f"version = {sys.version_info.major}.{sys.version_info.minor}.0\n"
        )
        self.calls_file = folder / "calls"
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "CALLS": str(self.calls_file),
            "WAITS_AT": "no such call",
        }
        self.stamp()

    def stamp(self) -> None:
        (self.root / ".venv" / venv.STAMP).write_text(venv.stamp_of(self.root))

    def unstamp(self) -> None:
        (self.root / ".venv" / venv.STAMP).unlink()

    def start(self, script: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "scripts" / script, *arguments],
            cwd="/",
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, *arguments: str, **env: str) -> tuple[int, str]:
        """Return exit code and stderr of a script."""
        with self.start(script, *arguments, **env) as process:
            _, err = process.communicate(timeout=WAIT_S)
        return process.returncode, err

    def calls(self) -> list[str]:
        if not self.calls_file.exists():
            return []
        lines = self.calls_file.read_text().splitlines()
        return [line.replace(f"{self.root}/", "").removeprefix(".venv/bin/") for line in lines]

    def wait_for_call(self, words: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not any(words in call for call in self.calls()):
            assert time.monotonic() < deadline, f"{words} was not called: {self.calls()}"
            time.sleep(0.02)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


SET_UP = "python -m harness.provision toxiproxy"


def test_verify_all_passes_arguments_and_exit_code_on(project: Project) -> None:
    code, err = project.run("verify_all.sh", "--profile", "smoke", "--out", "a b", CODE="4")
    assert (code, err) == (4, "")
    assert project.calls() == [SET_UP, "python -m tallystick verify --profile smoke --out [a b]"]


def test_tests_with_arguments_are_pytest_alone(project: Project) -> None:
    code, _ = project.run("test.sh", "-k", "name", CODE="1")
    assert code == 1
    assert project.calls() == [SET_UP, "python -m pytest -k name"]


def test_tests_without_arguments_are_all_checks_in_order(project: Project) -> None:
    code, err = project.run("test.sh")
    assert (code, project.calls()) == (
        0,
        [
            SET_UP,
            "ruff format --check .",
            "ruff check .",
            "mypy",
            "lint-imports",
            "python -m pytest -n 2 --dist loadfile",
        ],
    )
    assert "[set-up] mypy" in err


def test_a_failed_check_stops_with_its_code(project: Project) -> None:
    (project.root / ".venv" / "bin" / "mypy").write_text("#!/bin/sh\nexit 2\n")
    assert project.run("test.sh")[0] == 2
    assert project.calls()[-1] == "ruff check ."


@pytest.mark.parametrize("script", ["test.sh", "verify_all.sh"])
@pytest.mark.parametrize("setup_code", ["1", "2", "70", "139"])
def test_a_failed_set_up_ends_with_70(project: Project, script: str, setup_code: str) -> None:
    assert project.run(script, SETUP_CODE=setup_code)[0] == 70
    assert project.calls() == [SET_UP]


def test_a_traceback_of_the_set_up_ends_with_70(project: Project) -> None:
    (project.root / "harness" / "errors.py").write_text("raise RuntimeError('no')\n")
    assert project.run("verify_all.sh")[0] == 70


def test_a_named_python_that_is_none_is_one_line(project: Project) -> None:
    for script in ("test.sh", "verify_all.sh"):
        code, err = project.run(script, PYTHON="/no/python")
        assert code == 70
        said = "failed: PYTHON=/no/python is no Python >= 3.11; name another or unset it"
        assert err == f"[set-up] {said}\n"


def tools_only(folder: Path, *pythons: tuple[str, str]) -> str:
    """Make a PATH with what the scripts need besides Python, and stand-ins for Pythons."""
    folder.mkdir()
    for name in ("bash", "dirname", "env"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    for name, text in pythons:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_no_python_on_path_is_one_line_that_says_what_to_do(
    project: Project, tmp_path: Path
) -> None:
    path = tools_only(tmp_path / "bin", ("python3", "exit 1"))
    code, err = project.run("verify_all.sh", PYTHON="", PATH=path)
    assert code == 70
    assert err.startswith("[set-up] failed: no Python >= 3.11 on PATH; install one")
    assert err.count("\n") == 1


def test_a_python_without_venv_is_passed_over_for_one_with(
    project: Project, tmp_path: Path
) -> None:
    lame = 'case "$2" in *ensurepip*) exit 1 ;; esac\nexec ' + sys.executable + ' "$@"'
    path = tools_only(tmp_path / "bin", ("python3", lame))
    code, err = project.run("verify_all.sh", PYTHON="", PATH=path)
    assert (code, err.count("\n")) == (70, 1)
    assert "python3 has no venv with pip; install it" in err
    (tmp_path / "bin" / "python3.12").symlink_to(sys.executable)
    code, err = project.run("verify_all.sh", PYTHON="", PATH=path)
    assert code == 0, err


def test_two_at_once_wait_for_each_other(project: Project) -> None:
    project.unstamp()
    (project.root / ".cache").mkdir()
    with (project.root / ".cache" / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with project.start("test.sh", "-k", "name") as second:
            assert second.stderr is not None
            assert "waiting for it to finish" in second.stderr.readline()
            assert project.calls() == []
            # What the first would do at its end:
            project.stamp()
            fcntl.flock(lock, fcntl.LOCK_UN)
            second.communicate(timeout=WAIT_S)
    assert second.returncode == 0
    assert project.calls() == [SET_UP, "python -m pytest -k name"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_during_set_up_ends_it(project: Project, sent: signal.Signals, code: int) -> None:
    project.unstamp()
    (project.root / ".cache").mkdir()
    with (project.root / ".cache" / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with project.start("verify_all.sh") as script:
            assert script.stderr is not None
            assert "waiting" in script.stderr.readline()
            script.send_signal(sent)
            # Reading to the end of stderr returns only when no child holds it any more.
            _, err = script.communicate(timeout=WAIT_S)
    assert (script.returncode, err) == (code, "[set-up] interrupted\n")
    assert project.calls() == []


def test_a_signal_after_set_up_reaches_the_program(project: Project) -> None:
    with project.start("verify_all.sh", "--profile", "smoke", WAITS_AT="verify") as script:
        project.wait_for_call("verify --profile smoke")
        script.send_signal(signal.SIGTERM)
        script.communicate(timeout=WAIT_S)
    # A shell in between would have answered 143 itself and left the program running.
    assert script.returncode == -signal.SIGTERM


def test_the_second_set_up_is_quick(project: Project) -> None:
    # CPU, not the clock: tests run side by side, and set-up computes or installs, it never waits.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert project.run("verify_all.sh")[0] == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0
