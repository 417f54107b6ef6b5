"""Parameters: types, limits and profiles, and errors that say what is allowed."""

import pytest

from harness.errors import UsageError
from harness.scenario.parameters import Parameter, resolve

DECLARED = (
    Parameter(
        name="messages", default=1_000, smoke=10, unit="messages", help="", minimum=1, maximum=5_000
    ),
    Parameter(name="rate_per_s", default=10.0, unit="1/s", help="", minimum=0.5),
    Parameter(name="mode", default="ack", unit="", help="", choices=("ack", "run")),
    Parameter(name="deep", default=False, unit="", help=""),
)


def test_profile_gives_defaults_and_assignments_override():
    assert resolve(DECLARED, "standard", {}).messages == 1_000
    smoke = resolve(DECLARED, "smoke", {"rate_per_s": "2.5", "deep": "true"})
    assert smoke.as_dict() == {"messages": 10, "rate_per_s": 2.5, "mode": "ack", "deep": True}


def test_underscores_in_numbers_are_allowed():
    assert resolve(DECLARED, "standard", {"messages": "4_000"}).messages == 4_000


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("messages", "0", "from 1 up to 5000"),
        ("messages", "5001", "from 1 up to 5000"),
        ("messages", "many", "a whole number"),
        ("rate_per_s", "nan", "a number from 0.5"),
        ("rate_per_s", "inf", "a number from 0.5 up to 1e\\+12"),
        ("rate_per_s", "1e300", "up to 1e\\+12"),
        ("mode", "keep", "one of ack, run"),
        ("deep", "maybe", "true or false"),
    ],
)
def test_what_is_not_allowed_says_what_is(name: str, text: str, says: str):
    with pytest.raises(UsageError, match=says):
        resolve(DECLARED, "standard", {name: text})


def test_unknown_parameter_and_profile_name_the_known_ones():
    with pytest.raises(UsageError, match="messages, rate_per_s, mode, deep"):
        resolve(DECLARED, "standard", {"message": "1"})
    with pytest.raises(UsageError, match="smoke, standard, nightly"):
        resolve(DECLARED, "quick", {})


def test_an_undeclared_value_cannot_be_read():
    with pytest.raises(AttributeError, match="declares no parameter 'size'"):
        _ = resolve(DECLARED, "smoke", {}).size
