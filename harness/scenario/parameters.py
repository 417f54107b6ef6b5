"""Parameters of a scenario: typed, with units and limits, and a default per profile."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.declared import NUMBER_MAX
from harness.definitions import check_fields, refusal
from harness.errors import UsageError
from harness.nearest import did_you_mean

Value: TypeAlias = int | float | str | bool

PROFILES = ("smoke", "standard", "nightly")
"""smoke: seconds, per change; standard: the claims as stated; nightly: as long as it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One knob of a scenario.

    Attributes:
        name: As written in ``--set name=value``.
        default: The value of the profile "standard"; its type is the parameter's type.
        unit: "messages", "s", "1/s", "buckets", … for people.
        help: One sentence.
        smoke: The value of the profile "smoke" where it differs.
        nightly: The value of the profile "nightly" where it differs.
        minimum: Smallest number allowed.
        maximum: Largest number allowed.
        choices: The allowed values, where they are few.
    """

    name: str
    default: Value
    unit: str
    help: str
    smoke: Value | None = None
    nightly: Value | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, name=_attribute)
        if not (self.minimum is None or self.maximum is None or self.minimum <= self.maximum):
            raise refusal(self, "maximum", f"minimum={self.minimum:g} or more")
        for field in ("default", *(word for word in PROFILES if word != "standard")):
            value = getattr(self, field)
            if value is None:
                continue
            if not _same_kind(value, self.default):
                kind = type(self.default).__name__
                raise refusal(self, field, f"of the default's type, {kind}")
            if self._is_outside(value):
                raise refusal(self, field, self.describe_allowed())

    def value_for(self, profile: str) -> Value:
        """Return the default of a profile."""
        special = {"smoke": self.smoke, "nightly": self.nightly}.get(profile)
        return self.default if special is None else special

    def parse(self, text: str) -> Value:
        """Return the value that `text` stands for.

        Raises:
            UsageError: It is not of the parameter's type or not allowed; says what is.
        """
        value: Value
        try:
            match self.default:
                case bool():
                    value = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
                case int():
                    value = int(text.replace("_", ""))
                case float():
                    value = float(text)
                case _:
                    value = text
        except (ValueError, KeyError):
            raise UsageError(f"{self.name}={text!r}: {self.describe_allowed()}") from None
        self.check(value)
        return value

    def check(self, value: Value) -> None:
        """Raise `UsageError` unless the value is allowed."""
        if self._is_outside(value):
            raise UsageError(f"{self.name}={value!r}: {self.describe_allowed()}")

    def _is_outside(self, value: Value) -> bool:
        outside = bool(self.choices) and value not in self.choices
        if isinstance(value, (int, float)):
            # The comparisons are written so that NaN is outside of every range.
            outside = outside or not abs(value) <= NUMBER_MAX
            outside = outside or not (self.minimum is None or value >= self.minimum)
            outside = outside or not (self.maximum is None or value <= self.maximum)
        return outside

    def describe_allowed(self) -> str:
        """Return in words which values are allowed."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[
            type(self.default)
        ]
        low = "" if self.minimum is None else f" from {self.minimum:g}"
        number = isinstance(self.default, (int, float)) and not isinstance(self.default, bool)
        maximum = NUMBER_MAX if self.maximum is None and number else self.maximum
        high = "" if maximum is None else f" up to {maximum:g}"
        unit = f" ({self.unit})" if self.unit else ""
        return f"{kind}{low}{high}{unit}"


def _attribute(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        return "a name that Python can read as an attribute: letters, digits and _"
    return (
        f"another name; Parameters.{value} is there already" if hasattr(Parameters, value) else ""
    )


def _same_kind(value: Value, default: Value) -> bool:
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)


class Parameters:
    """The values of one run, read as attributes: ``p.messages``."""

    __slots__ = ("_seed", "_values")

    def __init__(self, values: Mapping[str, Value], seed: int = 0) -> None:
        self._values = dict(values)
        self._seed = seed

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the scenario declares no parameter {name!r}") from None

    def as_dict(self) -> dict[str, Value]:
        """Return a copy, for the result."""
        return dict(self._values)

    @property
    def varies(self) -> bool:
        """Whether the seed may draw rare things beside the plan (``--set vary=false``)."""
        return bool(self._values.get(VARY.name, True))

    def seed_for(self, purpose: str) -> str:
        """Return what a plan seeds its `random.Random` with: equal for equal seeds and purposes."""
        return f"{self._seed}/plan/{purpose}"


VARY = Parameter(
    name="vary", default=True, unit="",
    help="Whether the seed draws rare sizes, names, counts and senders beside the plan.",
)  # fmt: skip
"""Every scenario has it; a result names it where it was set."""


def resolve(
    declared: tuple[Parameter, ...], profile: str, assignments: Mapping[str, str], seed: int = 0
) -> Parameters:
    """Return the values of a run: the profile's defaults, overridden by `assignments`.

    Raises:
        UsageError: An unknown profile or parameter, or a value that is not allowed.
    """
    if profile not in PROFILES:
        hint = did_you_mean(profile, PROFILES)
        raise UsageError(f"profile {profile!r}: one of {', '.join(PROFILES)}{hint}")
    by_name = {parameter.name: parameter for parameter in declared}
    if VARY.name in assignments:
        by_name[VARY.name] = VARY
    unknown = sorted(set(assignments) - set(by_name))
    if unknown:
        allowed = ", ".join(by_name) or "none"
        hint = did_you_mean(unknown[0], by_name)
        raise UsageError(f"no parameter {unknown[0]!r}{hint}; this scenario has: {allowed}")
    return Parameters(
        {
            name: parameter.parse(assignments[name])
            if name in assignments
            else parameter.value_for(profile)
            for name, parameter in by_name.items()
        },
        seed,
    )
