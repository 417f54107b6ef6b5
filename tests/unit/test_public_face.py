"""The public face: every name is there, nothing else is, and it costs nothing until it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tallystick
from tallystick import names


def test_every_name_comes_from_the_list() -> None:
    star: dict[str, object] = {}
    exec("from tallystick import *", star)
    del star["__builtins__"]
    assert sorted(star) == sorted(names.__all__)
    assert all(getattr(tallystick, name) is getattr(names, name) for name in names.__all__)
    assert set(names.__all__) <= set(dir(tallystick))


@pytest.mark.parametrize("name", ["Nope", "harness", "_hidden", "__path_of__"])
def test_what_is_not_listed_is_not_there(name: str) -> None:
    face = importlib.import_module("tallystick")
    with pytest.raises(AttributeError, match="no name"):
        getattr(face, name)


def test_help_imports_none_of_it() -> None:
    code = (
        "import sys; from harness.cli.main import run_cli; import tallystick; "
        "run_cli(['--help']); "
        "loaded = {'tallystick.names', 'numpy', 'rich', 'anyio', 'toxiproxy'} & set(sys.modules); "
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_nodes_and_load_processes_import_nothing_of_the_command_line() -> None:
    code = (
        "import sys; import reference.node.serve, harness.load.worker, harness.systems.reference."
        "adapter; loaded = {'typer', 'rich', 'requests', 'toxiproxy', 'docker'} & set(sys.modules);"
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
