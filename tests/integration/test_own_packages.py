"""A user's folder with packages called like ours: ours are the ones that run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.codec import decode_result
from harness.report.result import Status

pytestmark = pytest.mark.integration

SCENARIO = """
from tallystick import Login, Plan, Requires, Scenario, Send, Stream, Topology
from my_names import INBOX

SCENARIO = Scenario(
    name="mine",
    claim="Twenty messages arrive.",
    plan=Plan(
        vary=False,
        topology=Topology(edges=("here",)),
        phases=(
            Send(stream=Stream(to=(INBOX,), producers=2, count=10)),
            Login(inboxes=(INBOX,)),
        ),
        requires=Requires(sends_ok=20, delivered=20),
    ),
)
"""

START = "from harness.cli.main import main; main()"

HIDING = "raise SystemExit('the wrong package was imported')\n"


@pytest.mark.parametrize("system", ["reference", "my_system:SYSTEM"])
def test_packages_of_the_current_folder_do_not_take_the_place_of_ours(
    tmp_path: Path, system: str
) -> None:
    for name in ("harness", "reference"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(HIDING)
    (tmp_path / "mine.py").write_text(SCENARIO)
    (tmp_path / "my_names.py").write_text("INBOX = 'ann'\n")
    # Both the harness and its load processes have to find this one.
    (tmp_path / "my_system.py").write_text("from harness.testing.queue_system import SYSTEM\n")
    done = subprocess.run(
        # As the installed command starts: without the current folder on the path.
        [sys.executable, "-P", "-c", START, "run", "mine.py", "--system", system, "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = decode_result((tmp_path / "out" / "result.json").read_bytes())
    assert result.verdict.status is Status.PASS
    assert result.counts.delivered == 20
