"""`tallystick new`: a file to start from, of a scenario, a system, a check or a fault."""

from __future__ import annotations

import keyword
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError

TEMPLATES = "tallystick.templates"
"""Where the files lie. They are copied as text: nothing of them is imported here."""

KINDS = ("scenario", "system", "check", "fault")

_NEXT = {
    "scenario": "tallystick run {file} --profile smoke",
    "system": "{there}tallystick conform {module}:SYSTEM",
    "check": "tallystick run {file}",
    "fault": "tallystick run {file}",
}


def new(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.", metavar="KIND")],
    name: Annotated[str, typer.Argument(help="Its name; the file is NAME.py.")],
    out: Annotated[
        Path, typer.Option(help="The folder it goes to, made if missing.", metavar="DIR")
    ] = Path(),
) -> None:
    """Make a file to start from. It runs as it is; an existing file is never overwritten."""
    if kind not in KINDS:
        raise UsageError(f"new {kind!r}: one of {', '.join(KINDS)}")
    module = module_name(name)
    path = out / f"{module}.py"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(filled(kind, module))
    except FileExistsError:
        raise UsageError(f"{path} exists already") from None
    except OSError as error:
        raise UsageError(f"{path}: {error}") from error
    place = path if path.is_absolute() else f"./{path}"
    # A module is looked for where one stands; a file is taken from anywhere.
    there = "" if out == Path() else f"cd {out} && "
    told = _NEXT[kind].format(file=place, module=module, there=there)
    typer.echo(f"made {path}\nnext: {told}")


def module_name(name: str) -> str:
    """Return the name as a Python module has it.

    Raises:
        UsageError: No module can be called so.
    """
    module = name.removesuffix(".py").replace("-", "_").lower()
    if keyword.iskeyword(module):
        raise UsageError(f"name {name!r}: a keyword of Python, which no module can be called")
    if not module.isidentifier() or not module.isascii():
        raise UsageError(f"name {name!r}: words of letters and digits, joined by _")
    return module


def filled(kind: str, module: str) -> str:
    """Return the file of a kind with the names put in."""
    text = (files(TEMPLATES) / f"{kind}.py").read_text(encoding="utf-8")
    # In a user's project Tallystick is a package among others; here it is our own.
    text = text.replace("\nimport anyio\n\nfrom tallystick", "\nimport anyio\nfrom tallystick")
    words = module.strip("_").split("_")
    return (
        text.replace("template_name", module)
        .replace("TemplateName", "".join(word.capitalize() for word in words))
        .replace("Template title", " ".join(words).capitalize())
    )
