"""What every registered fault keeps, ours and those of other packages."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import harness.faults
import tallystick
from harness.errors import UsageError
from harness.faults.registry import fault, faults, from_json, make
from harness.faults.schedule import at, to_json
from harness.faults.targets import AIMS
from harness.run.storm import ClientStorm
from harness.testing.faults_doc import DOCUMENT, effect_keys

UNITS = ("_s", "_ms", "_bytes", "_count", "_per_s")
WORDS = {"direction", "loss"}
"""Parameters that are no quantities."""

NEEDED = {
    kind
    for file in Path(harness.faults.__path__[0]).glob("*.py")
    for kind in re.findall(r'^@fault\("(\w+)"\)$', file.read_text("utf-8"), re.MULTILINE)
}
"""What the files of the package say that they register."""

KINDS = sorted(faults())

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Neither:
    """A target that is no link and no process."""

    name: str = "neither"


def test_the_walk_finds_every_fault_file() -> None:
    assert len(NEEDED) >= 19
    assert set(faults()) >= NEEDED


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_a_frozen_value_with_defaults_and_units(kind: str) -> None:
    made = make(kind, {})
    fields = dataclasses.fields(faults()[kind])
    assert made.kind == kind
    assert made.aims_at in AIMS
    assert made.duration_s >= 0
    assert made.__doc__
    assert made == make(kind, {field.name: getattr(made, field.name) for field in fields})
    for field in fields:
        named = field.name in WORDS or field.name.endswith(UNITS)
        assert named, f"{kind}.{field.name} does not say its unit"
        assert f"        {field.name}: " in (made.__doc__ or ""), f"{kind}: {field.name} untold"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, 1)


def test_the_public_face_and_the_documentation_have_every_fault_of_ours() -> None:
    text = DOCUMENT.read_text("utf-8")
    for heading in ("## The faults\n", "## Every effect in one journal\n"):
        section = text.partition(heading)[2].partition("\n## ")[0].splitlines()
        rows = [line.split("|")[1].strip(" `") for line in section if line.startswith("| `")]
        assert sorted(rows) == sorted(NEEDED), heading
    for kind in NEEDED:
        assert getattr(tallystick, faults()[kind].__name__) is faults()[kind]


def test_the_documentation_says_what_every_effect_holds() -> None:
    assert set(effect_keys()) == NEEDED | {ClientStorm.kind}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_survives_its_schedule(kind: str) -> None:
    planned = (at(1.25, make(kind, {}), on="x"),)
    assert from_json(to_json(planned)) == planned


@pytest.mark.parametrize("kind", KINDS)
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
        ("link_reset", {"connections": 0, "resets": 2}),
        ("link_reset", {"connections": 2, "resets": 0}),
        ("link_latency", {"added_rtt_min_ms": 200}),
        ("link_latency", {"added_rtt_min_ms": 200, "rtt_before_ms": 3, "rtt_after_ms": 20}),
        ("link_latency", {"added_rtt_min_ms": 200, "rtt_before_ms": 3, "rtt_after_ms": -1}),
        ("link_latency", {"added_rtt_min_ms": 100, "rtt_before_ms": 3, "rtt_after_ms": 70}),
        ("link_bandwidth", {}),
        ("link_bandwidth", {"before_bytes_per_s": 9e6, "after_bytes_per_s": 90_000}),
        ("link_bandwidth", {"before_bytes_per_s": 60_000, "after_bytes_per_s": 60_000}),
        ("link_bandwidth", {"before_bytes_per_s": 9e6, "after_bytes_per_s": -1}),
        ("link_bandwidth", {"before_bytes_per_s": 150_000, "after_bytes_per_s": 60_000}),
        ("link_slicer", {}),
        ("link_slicer", {"pieces_before": 1, "pieces_after": 2, "before_ms": 1, "after_ms": 900}),
        ("link_slicer", {"pieces_before": 1, "pieces_after": 17, "before_ms": 1, "after_ms": 2}),
        ("link_slicer", {"pieces_before": 16, "pieces_after": 17, "before_ms": 1, "after_ms": 2}),
        ("link_slicer", {"pieces_before": 2, "pieces_after": 5, "before_ms": 75, "after_ms": 40}),
        ("link_slicer", {"pieces_before": 1, "before_ms": 1}),
        ("link_slicer", {"before_ms": 3, "after_ms": 8}),
        ("link_slicer", {"before_ms": 3}),
        ("link_pause", {}),
        ("link_pause", {"sent_bytes": 48, "replied_bytes": 48, "ended": 0}),
        ("link_pause", {"sent_bytes": 48, "replied_bytes": 0, "ended": 1}),
        (
            "link_pause",
            {
                "sent_bytes": 48,
                "replied_bytes": 0,
                "ended": 0,
                "read_after_bytes": 36,
                "ended_after": 0,
            },
        ),
        ("link_cut_one_way", {}),
        ("link_cut_one_way", {"sent_bytes": 48, "replied_bytes": 48, "ended": 0}),
        (
            "link_cut_one_way",
            {"sent_bytes": 48, "replied_bytes": 0, "ended": 0, "ended_after": 0},
        ),
        ("link_slow_close", {"added_close_ms": 1000}),
        ("link_slow_close", {"added_close_ms": 1000, "close_before_ms": 3, "close_after_ms": 700}),
        ("link_slow_close", {"added_close_ms": 1000, "close_before_ms": 3, "close_after_ms": -1}),
        ("link_limit_data", {}),
        ("link_limit_data", {"closed": 0, "sent_bytes": 131_072, "replied_bytes": 9}),
        ("link_limit_data", {"closed": 1, "sent_bytes": 131_072, "replied_bytes": 70_000}),
        ("link_limit_data", {"closed": 2, "sent_bytes": 131_072, "replied_bytes": 9}),
        *(
            (
                "link_limit_data",
                {
                    "before_bytes": before_bytes,
                    "closed": closed,
                    "sent_bytes": 131_072,
                    "replied_bytes": replied_bytes,
                },
            )
            for before_bytes, closed, replied_bytes in (
                (131_072, 1, 9),
                (131_060, 2, 9),
                (131_072, 2, 70_000),
            )
        ),
        ("process_kill", {"gone": 0}),
        ("process_terminate", {"gone": 0, "ended_after_ms": 5}),
        ("store_full", {"refused_writes": 0}),
        ("store_write_error", {"failed_writes": 1, "gone": 0}),
        ("store_write_error", {"failed_writes": 0, "gone": 1}),
        ("store_sync_error", {"failed_syncs": 1, "gone": 0}),
        ("store_sync_error", {"failed_syncs": 0, "gone": 1}),
        ("store_slow_sync", {"delayed_syncs": 0, "delay_ms": 0}),
        ("store_slow_sync", {"delayed_syncs": 3, "delay_ms": 50}),
        ("power_loss", {"gone": 1, "unsynced_sectors": 8, "lost_sectors": 0}),
        ("power_loss", {"gone": 0, "unsynced_sectors": 8, "lost_sectors": 8}),
        ("crash_in_recovery", {"gone": 1, "kills_before_ready": 2}),
        ("crash_in_recovery", {"gone": 0, "kills_before_ready": 3}),
        ("clock_jump", {"off_before_s": 0, "off_after_s": 0}),
        ("clock_jump", {"off_before_s": 0, "off_after_s": 1800}),
        ("clock_jump", {"off_before_s": 0}),
        ("clock_jump", {"off_after_s": 3600}),
        ("process_pause", {"stopped": 0}),
    ],
)
def test_what_shows_nothing_is_not_effective(kind: str, nothing: dict[str, float]) -> None:
    assert not make(kind, {}).is_effective(nothing)


def test_a_slicer_is_seen_by_its_pieces_where_the_machine_was_busy_before() -> None:
    seen = {"pieces_before": 2, "pieces_after": 18, "before_ms": 75.6, "after_ms": 40.6}
    assert make("link_slicer", {}).is_effective(seen)
    assert not make("link_slicer", {}).is_effective(seen | {"after_ms": 3.0})
    assert not make("link_slicer", {}).is_effective(seen | {"pieces_before": 10})


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("link_latency", {"latency_ms": -1}),
        ("link_latency", {"latency_ms": 100, "jitter_ms": 100}),
        ("link_latency", {"latency_ms": 9}),
        ("link_latency", {"latency_ms": 10_001}),
        ("link_latency", {"latency_ms": 9_000, "jitter_ms": 2_000}),
        ("link_latency", {"jitter_ms": -1}),
        ("link_latency", {"direction": "sideways"}),
        ("link_bandwidth", {"rate_bytes_per_s": 0}),
        ("link_bandwidth", {"rate_bytes_per_s": 1_500}),
        ("link_bandwidth", {"rate_bytes_per_s": 10_001_000}),
        ("link_bandwidth", {"rate_bytes_per_s": 101_000, "direction": "downstream"}),
        ("link_slicer", {"size_avg_bytes": 10, "size_variation_bytes": 10}),
        ("link_slicer", {"size_avg_bytes": 8_193}),
        ("link_slicer", {"delay_ms": 0}),
        ("link_slicer", {"delay_ms": 0.9}),
        ("link_slicer", {"delay_ms": 501}),
        ("link_slicer", {"delay_ms": 100, "size_avg_bytes": 99, "size_variation_bytes": 9}),
        ("link_pause", {"direction": "up"}),
        ("link_cut_one_way", {"direction": "both"}),
        ("link_slow_close", {"delay_ms": 0}),
        ("link_slow_close", {"delay_ms": 9}),
        ("link_limit_data", {"limit_bytes": 10_000_000}),
        ("store_slow_sync", {"delay_ms": 0}),
        ("power_loss", {"loss": "some"}),
        ("power_loss", {"writes_count": 0}),
        ("crash_in_recovery", {"kills_count": 0}),
        ("clock_jump", {"jump_s": -3}),
    ],
)
def test_a_mistake_in_a_parameter_is_told_before_a_run(kind: str, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        make(kind, wrong)


def test_a_kind_belongs_to_one_class() -> None:
    @dataclass(frozen=True)
    class Another:
        """Another fault of a known kind."""

    with pytest.raises(TypeError, match="link_cut"):
        fault("link_cut")(Another)
    with pytest.raises(TypeError, match="no dataclass"):
        fault("plain")(type("Plain", (), {}))
