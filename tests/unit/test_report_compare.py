"""`compare`: what changed beyond the spread of repeats, and what makes two sides unlike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from harness.cli.compare import parse_allowed
from harness.cli.main import run_cli
from harness.errors import UsageError
from harness.report.compare import Allowed, Comparison, compare
from harness.report.compare_text import lines, markdown
from harness.report.result import Counts, Result, Suite
from harness.report.writer import write_result, write_suite
from harness.testing import example_results as examples

NO_LIMIT = Allowed(by_metric={})


def with_ack_p99(ms: float, *, like: Result | None = None, seed: int = 1) -> Result:
    base = like or examples.passed()
    assert base.latency_ms.ack is not None
    ack = msgspec.structs.replace(base.latency_ms.ack, p99=ms)
    return msgspec.structs.replace(
        base,
        latency_ms=msgspec.structs.replace(base.latency_ms, ack=ack),
        run=msgspec.structs.replace(base.run, seed=seed),
    )


def ack_p99(a: list[float], b: list[float], allowed: Allowed = NO_LIMIT):
    found = compare([with_ack_p99(ms) for ms in a], [with_ack_p99(ms) for ms in b], allowed)
    (pair,) = found.pairs
    return next(one for one in pair.figures if one.metric == "ack_p99_ms"), found


FOUR = [100.0, 101.0, 102.0, 103.0]


@pytest.mark.parametrize(
    ("a", "b", "changed", "worse"),
    [
        (FOUR, [130, 131, 132, 133], True, True),
        (FOUR, [70, 71, 72, 73], True, False),
        (FOUR, [100.5, 101.5, 102.5, 103.5], False, False),
        ([100, 101, 102], [200, 201, 202], None, False),
        ([100, 101], [200, 201], None, False),
        ([100], [1000], None, False),
    ],
)
def test_a_change_counts_only_where_chance_is_ruled_out(a, b, changed, worse) -> None:
    figure, found = ack_p99(a, b)
    assert (figure.changed, figure.worse) == (changed, worse)
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("b", "percent", "code"),
    [
        ([121, 122, 123, 124], 20, 4),
        ([121, 122, 123, 124], 22, 0),
        ([100, 101, 140, 141], 1, 0),
        ([90, 91, 92, 93], 1, 0),
        ([121, 122, 123], 1, 4),  # 1 in 35: of unequal sides no mirror image is as extreme.
        ([1000, 1000], 1, 0),
        ([1000], 1, 0),
    ],
)
def test_a_limit_is_passed_for_the_worse_and_beyond_chance_alone(b, percent, code) -> None:
    figure, found = ack_p99(FOUR, b, Allowed(by_metric={"ack_p99_ms": percent}))
    assert found.exit_code == code
    assert figure.exceeded == (code == 4)


def test_too_few_repeats_are_told_and_how_many_would_do() -> None:
    limit = Allowed(by_metric={"ack_p99_ms": 1})
    _, found = ack_p99([100, 101], [1000, 1001], limit)
    assert found.exit_code == 0
    (pair,) = found.pairs
    assert (pair.test.method, pair.test.runs_needed) == (None, 4)
    for text in ("\n".join(lines(found)), markdown(found)):
        assert "TOO FEW REPEATS TO TELL a change of speed (A 2 runs, B 2 runs)" in text
        assert "at least 4 per side" in " ".join(text.split())


def test_scenarios_of_one_call_share_the_rate_of_false_alarms() -> None:
    def runs(ms: float) -> list[Result]:
        return [
            with_ack_p99(ms + number, like=about(name), seed=number)
            for name in ("x", "y")
            for number in range(4)
        ]

    found = compare(runs(100), runs(200), NO_LIMIT)
    assert [(one.test.level, one.test.method, one.test.runs_needed) for one in found.pairs] == [
        (0.025, None, 5)
    ] * 2


def test_runs_of_the_same_seeds_are_paired() -> None:
    machine = [100, 200, 50, 400, 25, 800, 1000]
    seeds = [3, 1, 2, 7, 5, 4, 6]
    a = [with_ack_p99(ms, seed=seed) for ms, seed in zip(machine, seeds, strict=True)]
    b = [with_ack_p99(ms * 1.1, seed=seed) for ms, seed in zip(machine, seeds, strict=True)]
    (pair,) = compare(a, b[::-1], NO_LIMIT).pairs
    assert pair.test.method == "sign flips"
    figure = next(one for one in pair.figures if one.metric == "ack_p99_ms")
    assert (figure.changed, figure.p_value) == (True, 2 / 2**7)
    others = [
        with_ack_p99(ms * 1.1, seed=99 + seed) for ms, seed in zip(machine, seeds, strict=True)
    ]
    (pair,) = compare(a, others, NO_LIMIT).pairs
    assert pair.test.method == "permutation"
    assert not any(one.changed for one in pair.figures)


def test_sides_that_ran_one_after_the_other_are_told() -> None:
    def runs(hour: int) -> list[Result]:
        return [
            msgspec.structs.replace(
                one, run=msgspec.structs.replace(one.run, started_at=f"2026-01-01T{hour:02}:00:00Z")
            )
            for one in (with_ack_p99(ms) for ms in FOUR)
        ]

    found = compare(runs(1), runs(2), NO_LIMIT)
    assert found.pairs[0].test.one_after_the_other
    assert "One side ran after the other" in "\n".join(lines(found))
    in_turn = compare([*runs(1), *runs(3)], runs(2), NO_LIMIT)
    assert not in_turn.pairs[0].test.one_after_the_other


def test_what_is_gone_from_the_log_is_told_beside_what_was_lost() -> None:
    base = examples.failed()
    counts = msgspec.structs.replace(base.counts, vanished=1954, passed_by=7)
    gone = msgspec.structs.replace(base, counts=counts)
    (pair,) = compare([examples.passed()] * 2, [gone, examples.passed()], NO_LIMIT).pairs
    told = {one.name: one.b for one in pair.counts}
    assert (told["vanished"], told["passed_by"]) == (1954, 7)
    known = {field.name for field in msgspec.structs.fields(Counts)}
    assert known - {"sends"} <= told.keys(), "a count of a result that is never compared"


def test_one_lost_message_is_a_fact_however_few_the_runs() -> None:
    found = compare([examples.passed()], [examples.failed()], Allowed(by_metric={}, headlines=10))
    assert found.exit_code == 4


def test_a_throughput_gets_worse_by_falling() -> None:
    def delivering(rate: float) -> Result:
        base = examples.passed()
        rates = msgspec.structs.replace(base.throughput_per_s, delivered=rate)
        return msgspec.structs.replace(base, throughput_per_s=rates)

    bare = Allowed(by_metric={}, headlines=10)
    before = [delivering(1000)] * 4
    assert compare(before, [delivering(1200)] * 4, bare).exit_code == 0
    fallen = compare(before, [delivering(880)] * 4, bare)
    assert fallen.exit_code == 4
    assert fallen.exceeded == ["global_fan_in: delivered_per_s -12.0 %, allowed 10 %"]


def test_a_worse_verdict_passes_any_limit_and_none_without_one() -> None:
    a, b = [examples.passed()], [examples.passed(), examples.failed()]
    assert compare(a, b, NO_LIMIT).exit_code == 0
    found = compare(a, b, Allowed(by_metric={}, headlines=1000))
    assert found.exit_code == 4
    assert found.exceeded[0] == "global_fan_in: the verdict became worse"
    (pair,) = found.pairs
    assert pair.verdicts.b == {"PASS": 1, "FAIL": 1}
    changed = {one.id: (one.a, one.b, one.instances_b) for one in pair.checks}
    assert changed == {"A1": ("PASS", "FAIL", 3), "B4": ("PASS", "FAIL", 1)}
    # One in several runs that lost something must not vanish in a median.
    assert {one.name: one.b for one in pair.counts}["lost"] == 3
    assert compare(b, a, Allowed(by_metric={}, headlines=1000)).exit_code == 0


def test_a_figure_that_is_measured_no_more_is_worse() -> None:
    silent = msgspec.structs.replace(
        examples.passed(),
        latency_ms=msgspec.structs.replace(examples.passed().latency_ms, ack=None),
    )
    a, b = [examples.passed()], [silent]
    found = compare(a, b, Allowed(by_metric={"ack_p99_ms": 50}))
    assert found.exceeded == ["global_fan_in: ack_p99_ms is not measured any more, allowed 50 %"]
    assert compare(b, a, Allowed(by_metric={"ack_p99_ms": 50})).exit_code == 0


def test_a_run_that_was_cut_off_gives_its_verdict_and_no_figures() -> None:
    found = compare([examples.passed()], [examples.interrupted()], NO_LIMIT)
    (pair,) = found.pairs
    assert pair.verdicts.b == {"UNKNOWN (cut off)": 1}
    assert pair.verdicts.worse
    assert (pair.whole_b, pair.figures, pair.counts) == (0, [], [])


def test_what_makes_the_sides_unlike_is_told() -> None:
    base = examples.passed()
    other = msgspec.structs.replace(
        base,
        run=msgspec.structs.replace(
            base.run, scenario="other", parameters={**base.run.parameters, "messages": 5}
        ),
        system=msgspec.structs.replace(base.system, name="nats", config={"edges": ["x"]}),
        environment=msgspec.structs.replace(base.environment, cpu_count=64, fsync_ms_p50=8.0),
    )
    found = compare([base], [other], NO_LIMIT)
    (pair,) = found.pairs
    told = "\n".join(pair.differences)
    for part in (
        "scenario: global_fan_in / other",
        "parameter messages: 517000 / 5",
        "system: reference 0.1.0 / nats 0.1.0",
        'setting edges: ["us-east"] / ["x"]',
        "cpus: 2 / 64",
        "fsync: 0.8 ms / 8 ms",
    ):
        assert part in told
    # A seed is drawn anew for each repeat: it is no difference.
    assert "seed" not in told


@pytest.fixture
def two_places(tmp_path: Path) -> tuple[Path, Path]:
    """A suite of two scenarios, and a folder of repeats of one of them with a link to the last."""
    suite_dir, repeats = tmp_path / "suite", tmp_path / "repeats"
    suite: Suite = examples.suite()
    for one, ms in zip(suite.scenarios, (100.0, 100.0), strict=True):
        folder = suite_dir / one.name
        folder.mkdir(parents=True)
        result = with_ack_p99(ms)
        run = msgspec.structs.replace(result.run, scenario=one.name)
        write_result(folder, msgspec.structs.replace(result, run=run))
    write_suite(suite_dir, suite)
    for number, ms in enumerate((150.0, 160.0)):
        folder = repeats / f"run-{number}"
        folder.mkdir(parents=True)
        result = with_ack_p99(ms, seed=number)
        run = msgspec.structs.replace(result.run, scenario="fan")
        write_result(folder, msgspec.structs.replace(result, run=run))
    (repeats / "latest").symlink_to("run-1")
    return suite_dir, repeats


def test_suites_and_folders_of_repeats_are_matched_by_scenario(two_places, capsys) -> None:
    a, b = map(str, two_places)
    assert run_cli(["compare", a, b, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (pair,) = found["pairs"]
    assert (pair["scenario"], pair["runs_a"], pair["runs_b"]) == ("fan", 1, 2)
    assert found["only_a"] == ["offline_messaging"]
    assert found["schema"] == "tallystick.comparison/3.0"
    assert run_cli(["compare", a, f"{a}/suite.json"]) == 0


def test_the_text_fits_80_columns_and_the_page_is_appended(capsys, tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    for base in (100.0, 150.0):
        for number in range(4):
            result = with_ack_p99(base + 2 * number, seed=int(base) + number)
            run = msgspec.structs.replace(result.run, scenario="fan")
            folder = tmp_path / f"four-{base:g}" / str(number)
            folder.mkdir(parents=True)
            write_result(folder, msgspec.structs.replace(result, run=run))
    a, b = str(tmp_path / "four-100"), str(tmp_path / "four-150")
    words = ["compare", a, b, "--worse-by", "ack_p99_ms=10%", "--markdown", str(page)]
    assert run_cli(words) == 4
    out = capsys.readouterr().out
    assert "at most 5% call any figure" in out
    assert "WORSE  fan: ack_p99_ms +48.5 %, allowed 10 %" in out
    assert all(len(line) <= 80 for line in out.splitlines() if "/" not in line)
    text = page.read_text()
    assert text.startswith("before\n# Comparison")
    assert "| ack_p99_ms | 103 (100..106) | 153 (150..156) | +48.5 % | WORSE |" in text


def test_a_run_that_broke_without_a_result_is_told_and_passes_a_limit(two_places, capsys) -> None:
    whole, _ = two_places
    cut = shutil.copytree(whole, whole.with_name("cut"))
    (cut / "offline_messaging" / "result.json").unlink()
    page = cut / "page.md"
    limit = ("--worse-by", "99%")
    assert run_cli(["compare", str(whole), str(cut), "--markdown", str(page)]) == 0
    out = capsys.readouterr().out
    assert "ERROR, without a result, in B: offline_messaging" in out
    assert "ERROR, without a result, in B: offline\\_messaging" in page.read_text()
    assert run_cli(["compare", str(whole), str(cut), *limit]) == 4
    assert "WORSE  broke before they had a result: offline_messaging" in capsys.readouterr().out
    for same in (whole, cut):
        assert run_cli(["compare", str(same), str(same), *limit]) == 0


@pytest.mark.parametrize("text", ["ten", "10%%", "ack_p98_ms=1%", "=5", "-3%"])
def test_a_wrong_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_allowed([text])


def test_nothing_to_compare_is_wrong_usage(two_places, tmp_path, capsys) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_cli(["compare", str(two_places[0]), str(empty)]) == 2
    assert "no result.json there or below" in capsys.readouterr().err


def about(
    scenario: str = "fan", system: str = "reference", profile: str = "standard", **parameters: int
) -> Result:
    base = examples.passed()
    run = msgspec.structs.replace(
        base.run,
        scenario=scenario,
        profile=profile,
        parameters=parameters,
        repeat_command=f"tallystick run {scenario} --seed 1",
    )
    place = msgspec.structs.replace(base.system, place=system)
    return msgspec.structs.replace(base, run=run, system=place)


def without_place(result: Result, repeat_command: str) -> Result:
    """Return a result as it was written before 1.2."""
    run = msgspec.structs.replace(result.run, repeat_command=repeat_command)
    system = msgspec.structs.replace(result.system, place="")
    return msgspec.structs.replace(result, run=run, system=system)


def names(found: Comparison) -> list[tuple[str, int, int]]:
    return [(pair.scenario, pair.runs_a, pair.runs_b) for pair in found.pairs]


def test_other_systems_options_profiles_and_parameters_are_no_repeats() -> None:
    runs = [
        about(), about(), about(system="kafka?acks=1"), about(system="kafka"),
        about(profile="smoke"), about(rate=5), about("other"),
    ]  # fmt: skip
    found = compare(runs, [*runs, about()], NO_LIMIT)
    assert names(found) == [
        ("fan (reference, standard)", 2, 3),
        ("fan (kafka?acks=1)", 1, 1),
        ("fan (kafka)", 1, 1),
        ("fan (reference, smoke)", 1, 1),
        ("fan (reference, standard, rate=5)", 1, 1),
        ("other", 1, 1),
    ]
    assert (found.only_a, found.only_b) == ([], [])


def test_a_replay_and_an_older_result_are_repeats_of_their_run() -> None:
    run = about(system="kafka?acks=1")
    replay = msgspec.structs.replace(
        run, run=msgspec.structs.replace(run.run, repeat_command="tallystick replay results/x")
    )
    older = without_place(run, "tallystick run fan --system 'kafka?acks=1'")
    found = compare([run, replay, older], [run, about(system="kafka")], NO_LIMIT)
    assert names(found) == [("fan (kafka?acks=1)", 3, 1)]
    oldest = without_place(about(), "tallystick run fan")
    assert names(compare([oldest], [about()], NO_LIMIT)) == [("fan", 1, 1)]


def test_one_system_is_held_against_another() -> None:
    a = [about(), about("other")]
    b = [about(system="nats"), about("other", "nats")]
    found = compare(a, b, NO_LIMIT)
    assert names(found) == [("fan (reference / nats)", 1, 1), ("other (reference / nats)", 1, 1)]


def test_one_system_is_held_against_another_with_each_of_several_parameters() -> None:
    a, b = ([about(system=name, rate=rate) for rate in (5, 6)] for name in ("reference", "nats"))
    found = compare(a, b, NO_LIMIT)
    assert [pair.scenario for pair in found.pairs] == [
        "fan (reference / nats, rate=5)",
        "fan (reference / nats, rate=6)",
    ]
    assert not any("rate" in text for pair in found.pairs for text in pair.differences)


def test_a_changed_parameter_is_compared_and_told() -> None:
    (pair,) = compare([about(rate=5)], [about(rate=6)], NO_LIMIT).pairs
    assert (pair.scenario, pair.differences) == ("fan", ["parameter rate: 5 / 6"])


@pytest.mark.parametrize(
    "text",
    [
        'port: {port}\nauth {{ token: "{secret}" }}\njet {{\n dir: "x/{run}"\n sync: {sync}\n}}\n',
        'port {port}\ndir "/x/{run}/valkey"\nrequirepass {secret}\nsave ""\nsync {sync}\n',
        "listeners=A://127.0.0.1:{port},B://127.0.0.1:{port}\nlog.dirs=/x/{run}/kafka\nsync={sync}\n",
    ],
)
def test_of_a_servers_configuration_only_what_was_chosen_is_told(text: str) -> None:
    def run(name: str, port: int, secret: str, sync: str) -> Result:
        base = examples.passed()
        config = {"server_config": text.format(run=name, port=port, secret=secret, sync=sync)}
        return msgspec.structs.replace(
            base,
            run=msgspec.structs.replace(base.run, id=name),
            system=msgspec.structs.replace(base.system, config=config),
        )

    one = run("first-1", 24354, "d3ca7465eb53f1af018331c130254359", "always")
    other = run("second-2", 9092, "456776b464ce6a6d1f502f84991f44b9", "always")
    changed = run("second-2", 9092, "456776b464ce6a6d1f502f84991f44b9", "2m")
    assert compare([one], [other], NO_LIMIT).pairs[0].differences == []
    (told,) = compare([one], [changed], NO_LIMIT).pairs[0].differences
    assert told == "setting server_config sync: always / 2m"
    renamed = msgspec.structs.replace(changed.system, name="nats")
    elsewhere = msgspec.structs.replace(changed, system=renamed)
    (told,) = compare([one], [elsewhere], NO_LIMIT).pairs[0].differences
    assert told == "system: reference 0.1.0 / nats 0.1.0"


def test_what_has_several_counterparts_has_none() -> None:
    found = compare([about()], [about(system="nats"), about(system="kafka")], NO_LIMIT)
    assert (names(found), found.only_a) == ([], ["fan (reference)"])
    assert found.only_b == ["fan (kafka)", "fan (nats)"]


def test_a_scenario_that_has_no_result_any_more_is_worse() -> None:
    both, left = [about("x"), about("y")], [about("x")]
    assert compare(both, left, NO_LIMIT).exit_code == 0
    found = compare(both, left, Allowed(by_metric={}, headlines=10.0))
    assert (found.exit_code, found.only_a) == (4, ["y"])
    assert "y: has a result in A and none in B" in found.exceeded
    assert compare(left, both, Allowed(by_metric={}, headlines=10.0)).exit_code == 0


def test_a_limit_is_not_held_against_another_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = examples.passed()
    other = msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, scenario="other"))
    for name, result in (("a", base), ("b", other)):
        (tmp_path / name).mkdir()
        write_result(tmp_path / name, result)
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert run_cli(words) == 0
    assert run_cli([*words, "--worse-by", "10%"]) == 2
    assert "a limit needs a scenario that is on both sides" in capsys.readouterr().err
