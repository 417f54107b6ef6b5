"""The HTML report in a real browser: charts are drawn, the console stays silent.

Needs Chromium on PATH, which no Python package brings; without it `test_report_html` still reads
the page's structure.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.cli.report import write_report
from harness.testing.stored_runs import simulated_records, store_run

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

WITHIN_S = 90.0


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on PATH")
    return found


def test_charts_are_drawn_and_nothing_is_complained_of(browser: str, tmp_path: Path) -> None:
    """On a phone in the dark, which is where a page is most likely to be unreadable."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    records, trims = simulated_records(20)
    store_run(run_dir, records, seed=20, trims=trims)
    page = write_report(run_dir)
    picture = tmp_path / "picture.png"
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000",
            "--window-size=390,3000", "--blink-settings=preferredColorScheme=0",
            f"--screenshot={picture}", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=WITHIN_S, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    for chart in ("throughput", "latency", "in_flight"):
        _, _, behind = done.stdout.partition(f'data-chart="{chart}"')
        assert "main-svg" in behind.partition("data-chart=")[0]
    assert picture.stat().st_size > 10_000
