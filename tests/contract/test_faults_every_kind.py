"""What every registered fault keeps, ours and those of other packages."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from harness.errors import UsageError
from harness.faults.registry import fault, faults, from_json, make
from harness.faults.schedule import at, to_json

UNITS = ("_s", "_ms", "_bytes", "_count", "_per_s")
NEEDED = {"link_cut", "link_latency", "link_reset", "process_kill", "process_pause"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Neither:
    """A target that is no link and no process."""

    name: str = "neither"


def test_the_walk_finds_every_fault_file() -> None:
    assert set(faults()) >= NEEDED


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_a_fault_is_a_frozen_value_with_defaults_and_units(kind: str) -> None:
    made = make(kind, {})
    fields = dataclasses.fields(faults()[kind])
    assert made.kind == kind
    assert made.aims_at in ("link", "process")
    assert made.duration_s >= 0
    assert made.__doc__
    assert made == make(kind, {field.name: getattr(made, field.name) for field in fields})
    for field in fields:
        assert field.name.endswith(UNITS), f"{kind}.{field.name} does not say its unit"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, 1)


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_a_fault_survives_its_schedule(kind: str) -> None:
    planned = (at(1.25, make(kind, {}), on="x"),)
    assert from_json(to_json(planned)) == planned


@pytest.mark.parametrize("kind", sorted(NEEDED))
async def test_a_fault_refuses_a_target_of_another_sort(kind: str) -> None:
    made = make(kind, {})
    with pytest.raises(UsageError, match="neither is no "):
        await made.inject(Neither())
    with pytest.raises(UsageError, match="neither is no "):
        await made.heal(Neither())


@pytest.mark.parametrize(
    ("kind", "nothing"),
    [
        ("link_cut", {"connections": 0, "refused": 1}),
        ("link_cut", {"connections": 3, "refused": 0}),
        ("link_reset", {"connections": 0, "resets_sent": 2}),
        ("link_reset", {"connections": 2, "resets_sent": 0}),
        ("link_latency", {"added_rtt_min_ms": 200}),
        ("link_latency", {"added_rtt_min_ms": 200, "rtt_before_ms": 3, "rtt_after_ms": 20}),
        ("link_latency", {"added_rtt_min_ms": 200, "rtt_before_ms": 3, "rtt_after_ms": -1}),
        ("process_kill", {"gone": 0}),
        ("process_pause", {"stopped": 0}),
    ],
)
def test_what_shows_nothing_is_not_effective(kind: str, nothing: dict[str, float]) -> None:
    assert not make(kind, {}).is_effective(nothing)


def test_a_kind_belongs_to_one_class() -> None:
    @dataclass(frozen=True)
    class Another:
        """Another fault of a known kind."""

    with pytest.raises(TypeError, match="link_cut"):
        fault("link_cut")(Another)
    with pytest.raises(TypeError, match="no dataclass"):
        fault("plain")(type("Plain", (), {}))
