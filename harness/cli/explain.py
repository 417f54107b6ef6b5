"""`tallystick explain`: anomalies, verdicts, limits and exit codes in words."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from harness.report.explain import ENTRIES, find
from harness.run.limits import METRICS

WIDTH = 80


def explain(
    word: Annotated[
        str | None,
        typer.Argument(
            help="A1 … E2, exit-codes, a verdict, limits, bound, compare, not-tried, a rare state."
        ),
    ] = None,
) -> None:
    """Say what an anomaly, a verdict or an exit code means; without a word, list them all."""
    if word is None:
        for entry in ENTRIES.values():
            typer.echo(f"{entry.id:<14} {entry.name}")
        return
    entry = find(word)
    typer.echo(f"{entry.id} {entry.name}")
    for label, text in (
        ("", entry.meaning),
        ("How it is judged: ", entry.judged),
        ("What to do: ", entry.next_step),
    ):
        if text:
            typer.echo()
            typer.echo(textwrap.fill(label + text, WIDTH, break_on_hyphens=False))
    if entry.id == "limits":
        typer.echo("\nWhat a limit may name:")
        for metric, meaning in METRICS.items():
            typer.echo(
                textwrap.fill(
                    f"{metric:<22} {meaning}", WIDTH, initial_indent="  ",
                    subsequent_indent=" " * 25, break_on_hyphens=False,
                )
            )  # fmt: skip
