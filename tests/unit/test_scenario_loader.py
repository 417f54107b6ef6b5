"""Finding scenarios by name, file and module; none shadows another."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.scenario.loader import find, load_all, own_names
from harness.scenario.parameters import PROFILES, resolve

USER_SCENARIO = '''
"""Late login: one message waits."""
from tallystick import Login, Plan, Scenario, Send, Stream, Topology

SCENARIO = Scenario(
    name="late_login",
    claim="A message waits.",
    plan=Plan(
        topology=Topology(edges=("here",)),
        phases=(Send(stream=Stream(to=("bob",), count=1)), Login(inboxes=("bob",))),
    ),
)
'''


def test_our_scenarios_are_named_as_their_files_and_make_a_plan_for_every_profile():
    for loaded in load_all():
        scenario = loaded.scenario
        assert scenario.name in own_names()
        assert loaded.doc
        for profile in PROFILES:
            plan = scenario.plan_for(resolve(scenario.parameters, profile, {}))
            assert plan.phases


def test_hyphens_and_underscores_name_the_same():
    assert find("hotkey-bucketing").scenario is not None
    assert find("hotkey_bucketing").scenario.name == "hotkey_bucketing"


def test_a_wrong_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'hotkey_bucketing'"):
        find("hotkey-bucket")


def test_a_file_is_a_scenario_also_beside_a_folder_called_scenarios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "global_fan_in.py").write_text(USER_SCENARIO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert find("./scenarios/global_fan_in.py").scenario.name == "late_login"
    assert find("scenarios.global_fan_in:SCENARIO").scenario.name == "late_login"
    assert find("global_fan_in").scenario.name == "global_fan_in"


@pytest.mark.parametrize("text", ["", "SCENARIO = 1", "raise ValueError('no')", "def ("])
def test_a_file_that_is_no_scenario_is_a_usage_error(tmp_path: Path, text: str):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UsageError, match="broken"):
        find(str(path))
    with pytest.raises(UsageError, match="no file"):
        find(str(tmp_path / "missing.py"))
