"""The final report: 80 columns, the order in which a failure is told, no colour off a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from rich.text import Text

from harness.report import bars, words
from harness.report.html import Page, run_report
from harness.report.junit import junit
from harness.report.result import CheckStatus, EpochLoads, InboxBuckets, Sends, Status
from harness.report.summary import result_markdown
from harness.report.terminal import (
    make_console,
    make_table,
    print_result,
    print_suite,
    print_table,
)
from harness.testing import example_results as examples

FOLDER = Path("results/20261123T231500Z-global_fan_in-4711")
LONG = Path("results") / ("a" * 120)


def report(result, folder: Path = FOLDER) -> str:
    out = io.StringIO()
    print_result(make_console(out), result, folder)
    return out.getvalue()


@pytest.mark.parametrize(
    "example", [examples.passed, examples.failed, examples.unknown, examples.interrupted]
)
def test_no_line_is_longer_than_80_columns_and_none_is_coloured(example) -> None:
    text = report(example())
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text


def test_a_table_in_a_file_has_neither_frames_nor_blanks_at_the_ends_of_its_lines() -> None:
    out = io.StringIO()
    table = make_table("ended", "protects")
    table.add_row("FAIL", "words " * 30)
    table.add_row(Text("ok", "green"), "short")
    print_table(make_console(out), table)
    head, *rows = out.getvalue().splitlines()
    assert head == "ended  protects"
    assert rows[0].startswith("FAIL   words")
    assert rows[-1] == "ok     short"
    assert all(line.isascii() and line == line.rstrip() and len(line) <= 80 for line in rows)


def test_what_is_meant_for_copying_stays_on_one_line() -> None:
    assert str(LONG) in report(examples.passed(), LONG).splitlines()[-3]
    run = msgspec.structs.replace(examples.failed().run, repeat_command="tallystick " + "x " * 60)
    spoiled = msgspec.structs.replace(examples.failed(), run=run)
    assert any(spoiled.run.repeat_command.strip() in line for line in report(spoiled).splitlines())


def test_a_failure_is_told_in_its_order() -> None:
    text = " ".join(report(examples.failed()).split())
    told = [
        "FAIL global_fan_in",
        "what 3 acknowledged messages were lost",
        "broken Nothing acknowledged is lost",
        "anomaly A1 LOST, 3 in 517,000 examined; also failed: B4 REALTIME (1)",
        "witness producer 17279655951921914625 to vip_user",
        "- 7.210000 s completed",
        "repeat tallystick run global_fan_in --seed 4711 --profile standard",
        "messages 517,000 acknowledged",
        f"all of it tallystick report {FOLDER} --all",
    ]
    places = [text.index(part) for part in told]
    assert places == sorted(places)
    assert "lost 3 (0 first, 3 in between, 0 last), duplicated 0, reordered 1" in text


def test_later_rows_are_not_explained_behind_a_wrong_identity() -> None:
    failed = examples.failed()
    checks = [
        msgspec.structs.replace(c, status=CheckStatus.FAIL, reason="altered", instances=1)
        if c.id == "A5"
        else c
        for c in failed.checks
    ]
    spoiled = msgspec.structs.replace(failed, checks=checks, diagnosis=None)
    text = " ".join(report(spoiled).split())
    assert "what A5 CORRUPT, 1 in 517,000 examined: A message was delivered with" in text
    assert "also failed: A1 LOST (3), B4 REALTIME (1)" in text


def test_a_pass_shows_its_bound_checks_faults_limits_and_cost() -> None:
    text = " ".join(report(examples.passed()).split())
    for part in (
        "PASS global_fan_in, standard, seed 4711 42.3 s",
        "at 95 % fewer than 1 in 172,579 messages",
        "ack p50 12.1, p90 40, p99 212, p99.9 1,210, max 2,503 ms",
        "reset_peer edge-core eu-west asked for at 5.0 s, held 5.0 to 6.1 s: connections_reset 3",
        "MET ack_p99_ms <= 500: 212.4, met",
        "all together 3.10 µs per message",
        "11 passed: A1 A3 A4 A5 A6 A7 A10 A11 B4 D4 D5",
        "1 not applicable: B6",
    ):
        assert part in text


def test_what_makes_a_run_doubtful_stands_in_its_report() -> None:
    text = " ".join(report(examples.unknown()).split())
    assert "eu-west asked for at 5.0 s, held 5.0 to 6.1 s: NO EFFECT" in text
    assert "UNKNOWN D5 VACUOUS: fault f1" in text
    assert "results lie on tmpfs" in text
    assert "INCOMPLETE the run was cut off" in " ".join(report(examples.interrupted()).split())
    link = msgspec.structs.replace(examples.passed().coverage[0], covered=False)
    bypassed = msgspec.structs.replace(examples.passed(), coverage=[link])
    assert "link edge-core eu-west was bypassed" in " ".join(report(bypassed).split())
    system = msgspec.structs.replace(examples.passed().system, planted_bug="no_dedup")
    planted = msgspec.structs.replace(examples.passed(), system=system)
    assert "planted bug: no_dedup" in " ".join(report(planted).split())


def test_a_run_that_broke_before_anything_was_sent_lists_no_checks() -> None:
    broken = examples.unknown()
    verdict = msgspec.structs.replace(
        broken.verdict, status=Status.ERROR, reason="nothing to connect to at endpoint x:1"
    )
    counts = msgspec.structs.replace(broken.counts, sends=Sends(), delivered=0)
    broken = msgspec.structs.replace(broken, verdict=verdict, counts=counts)
    text = report(broken)
    assert "nothing to connect to" in text
    assert "nothing was sent, so there is nothing to judge" in text
    for figure in ("UNKNOWN", " acknowledged, ", "bound", "latency", "MET", "per second"):
        assert figure not in text
    assert len(text.splitlines()) < 15
    suite = ElementTree.fromstring(junit(broken))
    assert [case.get("name") for case in suite.iter("testcase")] == ["verdict"]
    html = run_report(Page(label="x", result=broken, series=None, run_dir="x"))
    assert "nothing to connect to" in html
    assert "broke before anything was sent" in html
    for figure in ("<h2>Checks</h2>", "<h2>Limits</h2>", "<h2>Faults</h2>", 'class="tile'):
        assert figure not in html
    page = result_markdown(broken)
    assert "nothing to connect to" in page
    assert " acknowledged, " not in page
    assert "| check |" not in page


def test_a_terminal_that_knows_only_ascii_gets_ascii() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    print_result(make_console(out), examples.passed(), FOLDER)
    out.flush()
    text = raw.getvalue().decode("ascii")
    assert "3.10 us per message" in text
    assert "  0 3 ####" in text


def test_a_suite_ends_in_one_line_per_scenario_and_its_verdict() -> None:
    out = io.StringIO()
    print_suite(make_console(out), examples.suite(), Path("results/x"))
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["PASS", "offline_messaging", "42.3", "s"]
    assert lines[1].split() == ["FAIL", "fan", "42.3", "s"]
    assert lines[2].split()[0] == "N/A"
    verdict = "FAIL suite, 1 scenario not applicable, smoke, seed 7 exit 1"
    assert lines[4].split() == verdict.split()
    assert max(len(line) for line in lines) <= 80


def test_colour_only_on_a_terminal_and_not_with_no_color(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    coloured, plain = Terminal(), Terminal()
    print_result(make_console(coloured), examples.passed(), FOLDER)
    assert "\x1b[1;32m" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    print_result(make_console(plain), examples.passed(), FOLDER)
    assert "32m" not in plain.getvalue()


def test_bars_show_each_bucket_in_proportion() -> None:
    lines = bars.draw(examples.passed().buckets)
    assert lines[0] == (
        "vip_user, epoch 1: 10 messages in 5 buckets; expected 2.0 ± 1.3 each, found 0 to 4"
    )
    lengths = [line.count("█") for line in lines[1:6]]
    assert lengths[3] == 0
    assert lengths[4] == max(lengths)
    assert lengths[0] == pytest.approx(lengths[4] * 3 / 4, abs=1)
    assert len(lines[7]) == 50


def test_an_empty_bucket_is_a_gap_among_columns() -> None:
    loads = [40] * 20
    loads[7], loads[8] = 0, 1
    epoch = EpochLoads(epoch=1, bucket_count=20, messages=sum(loads), loads=loads)
    _, row = bars.draw([InboxBuckets(inbox="x", epochs=[epoch])])
    assert row == "█" * 7 + " ▁" + "█" * 11


def test_bars_of_many_epochs_are_cut_with_a_word() -> None:
    epochs = [
        EpochLoads(epoch=i, bucket_count=2, messages=4, loads=[2, 2])
        for i in range(bars.EPOCHS_SHOWN_MAX + 3)
    ]
    lines = bars.draw([InboxBuckets(inbox="x", epochs=epochs)])
    assert lines[-1] == "and 3 more epochs in the result file"


def test_many_faults_are_told_by_kind_and_those_without_effect_by_name() -> None:
    one = examples.passed().faults[0]
    idle = msgspec.structs.replace(
        one, effective=False, effect={}, target="edge-core apac", id="idle"
    )
    lines = words.faults_together([one] * 9 + [idle])
    assert lines[0] == (
        "reset_peer 10 times (edge-core apac, edge-core eu-west): connections_reset 27;"
        " 1 without effect"
    )
    assert lines[1] == "reset_peer edge-core apac asked for at 5.0 s, held 5.0 to 6.1 s: NO EFFECT"
    assert len(lines) == 2
    beside = msgspec.structs.replace(idle, id=one.id)
    assert len(words.faults_together([one] * 9 + [beside])) == 2
    beside = msgspec.structs.replace(beside, effect={"connections": 0.0})
    assert len(words.faults_together([one] * 9 + [beside])) == 1
    actors = [msgspec.structs.replace(one, target=f"client-edge:us:{name}") for name in "abcdefg"]
    assert words.faults_together(actors)[0].startswith(
        "reset_peer 7 times (7 of client-edge:us:*):"
    )
    slow = [
        msgspec.structs.replace(one, effect={"rtt_ms": rtt_ms, "cut": 1}, target="a")
        for rtt_ms in (40, 30, 50, 30, 30, 30, 30)
    ]
    assert words.faults_together(slow) == ["reset_peer 7 times (a): rtt_ms 30 to 50, cut 7"]


def test_a_report_ends_quietly_where_its_reader_has_gone(monkeypatch) -> None:
    console = make_console(io.StringIO())
    monkeypatch.setattr(console, "_write_buffer", leave)
    print_result(console, examples.passed(), FOLDER)
    assert console.quiet


def leave() -> None:
    """End the process, as rich does for a closed pipe."""
    raise SystemExit(1)
