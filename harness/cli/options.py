"""Options that several verbs share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

REPEAT_MAX = 10_000
"""Most runs of one command, also of `--until-fail` without a number."""

Repeat: TypeAlias = Annotated[
    int,
    typer.Option(
        help="Run so often, each with a fresh seed (with --seed: that one); the worst counts.",
        min=1,
        max=REPEAT_MAX,
        metavar="N",
    ),
]
UntilFail: TypeAlias = Annotated[
    bool,
    typer.Option("--until-fail", help="Repeat until a run fails, --repeat times at most."),
]
FailFast: TypeAlias = Annotated[
    bool, typer.Option("--fail-fast", help="Leave out what is behind the first FAIL or ERROR.")
]
LimitTexts: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="A threshold, as in ack_p99_ms=200; missed: exit 4. May be repeated.",
        metavar="METRIC=X",
    ),
]
LoadFiles: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--load", help="Run this Python file first, for its checks and faults.", metavar="FILE"
    ),
]
Junit: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Write JUnit XML there: a case per scenario and check.", metavar="FILE"),
]
Markdown: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Append a page there, as to $GITHUB_STEP_SUMMARY.", metavar="FILE"),
]
Html: TypeAlias = Annotated[
    bool, typer.Option("--html", help="Make report.html in the results; needs the extra `report`.")
]
