"""`tallystick schema`: the contract with programs that read results."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from harness.errors import UsageError


def print_schema(
    kind: Annotated[str, typer.Argument(help="result or suite.", metavar="[result|suite]")] = (
        "result"
    ),
) -> None:
    """Print the JSON Schema (draft 2020-12) of result.json or suite.json."""
    from harness.report.codec import schema

    if kind not in ("result", "suite"):
        raise UsageError(f"no schema {kind!r}: result or suite")
    typer.echo(json.dumps(schema("result" if kind == "result" else "suite"), indent=2))
