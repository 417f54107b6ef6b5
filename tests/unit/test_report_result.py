"""Results as JSON: complete, strict, harmless to other languages, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import jsonschema
import msgspec
import pytest

from harness.docstrings import told_by
from harness.errors import UsageError
from harness.history.records import Delivered, DeliveredRun
from harness.report import codec, result, words, writer
from harness.report.witness import plain_delivery, plain_record
from harness.testing import example_results as examples

RESULTS = [
    examples.passed,
    examples.failed,
    examples.unknown,
    examples.started,
    examples.interrupted,
]

TOP_KEYS = {
    "schema", "complete", "verdict", "run", "system", "environment", "counts", "bound",
    "latency_ms", "throughput_per_s", "checks", "limits", "faults", "processes", "artifacts",
}  # fmt: skip


@pytest.mark.parametrize("example", RESULTS)
def test_a_result_keeps_its_schema_and_comes_back_equal(example) -> None:
    data = codec.encode(example())
    jsonschema.Draft202012Validator(codec.schema("result")).validate(json.loads(data))
    assert codec.decode_result(data) == example()
    assert set(json.loads(data)) >= TOP_KEYS


def test_a_suite_keeps_its_schema_and_comes_back_equal() -> None:
    data = codec.encode(examples.suite())
    jsonschema.Draft202012Validator(codec.schema("suite")).validate(json.loads(data))
    assert codec.decode_suite(data) == examples.suite()


@pytest.mark.parametrize("kind", ["result", "suite"])
def test_the_schemas_are_schemas_that_refuse_missing_and_unknown_keys(kind) -> None:
    schema = codec.schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    example = examples.suite() if kind == "suite" else examples.passed()
    whole = json.loads(codec.encode(example))
    validator = jsonschema.Draft202012Validator(schema)
    del whole["verdict"]["reason_code"]
    assert not validator.is_valid(whole)
    whole["verdict"]["reason_code"] = "x"
    assert validator.is_valid(whole)
    whole["verdict"]["colour"] = "green"
    assert not validator.is_valid(whole)


@pytest.mark.parametrize("kind", ["result", "suite"])
def test_every_key_is_described_and_nothing_else(kind) -> None:
    for name, definition in codec.schema(kind)["$defs"].items():
        keys = definition.get("properties", {})
        assert definition["description"], name
        assert [key for key in keys if not keys[key]["description"].strip()] == [], name
        assert set(told_by(getattr(result, name).__doc__).fields) == set(keys), name


def test_decoding_is_strict() -> None:
    whole = json.loads(codec.encode(examples.passed()))
    whole["verdict"]["status"] = "pass"
    with pytest.raises(msgspec.ValidationError, match="status"):
        codec.decode_result(json.dumps(whole).encode())
    whole["verdict"]["status"] = "PASS"
    whole["run"]["seed"] = 2**53
    with pytest.raises(msgspec.ValidationError, match="seed"):
        codec.decode_result(json.dumps(whole).encode())
    with pytest.raises(msgspec.ValidationError, match="schema"):
        codec.decode_result(json.dumps({"schema": "tallystick.suite/1.0"}).encode())
    for later in ("tallystick.result/2.0", "tallystick.result/1.10"):
        with pytest.raises(UsageError, match=f"written by a newer Tallystick, as {later}; this"):
            codec.decode_result(json.dumps({"schema": later}).encode())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 2**53, -(2**53)])
def test_numbers_that_other_readers_damage_are_refused(bad) -> None:
    config = {"nodes": [{"size": bad}]}
    system = msgspec.structs.replace(examples.passed().system, config=config)
    spoiled = msgspec.structs.replace(examples.passed(), system=system)
    with pytest.raises(ValueError, match=r"system\.config\.nodes\[0\]\.size"):
        codec.encode(spoiled)


def test_a_value_that_breaks_the_schema_is_refused_when_written(tmp_path: Path) -> None:
    artifact = result.Artifact(path="x", sha256="not a digest", bytes=1)
    spoiled = msgspec.structs.replace(examples.passed(), artifacts=[artifact])
    writer.write_result(tmp_path, examples.started())
    with pytest.raises(msgspec.ValidationError, match="sha256"):
        writer.write_result(tmp_path, spoiled)
    assert codec.decode_result((tmp_path / "result.json").read_bytes()) == examples.started()


def test_a_result_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    path = writer.write_result(tmp_path, examples.started())
    synced = []
    real_fsync = os.fsync

    def fsync_then_replace_must_follow(handle: int) -> None:
        synced.append(path.read_bytes())
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync_then_replace_must_follow)
    writer.write_result(tmp_path, examples.passed())
    assert synced[0] == codec.encode(examples.started())
    assert synced[-1] == codec.encode(examples.passed())

    def refuse(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        writer.write_result(tmp_path, examples.failed())
    assert codec.decode_result(path.read_bytes()) == examples.passed()
    assert os.listdir(tmp_path) == ["result.json"]


def test_artifacts_are_described_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "0001.msgpack").write_bytes(b"abc")
    (tmp_path / ".result.json.x1").write_bytes(b"left by a cut-off write")
    (tmp_path / "latest").symlink_to("history")
    writer.write_result(tmp_path, examples.started())
    found = writer.describe_artifacts(tmp_path)
    assert [(a.path, a.bytes) for a in found] == [("history/0001.msgpack", 3)]
    assert found[0].sha256 == hashlib.sha256(b"abc").hexdigest()


def test_of_a_long_delivery_only_the_wanted_runs_are_shown_each_with_its_place() -> None:
    runs = tuple(DeliveredRun(7 + i, 5, 2, 0, 1, 9) for i in range(3))
    shown = plain_delivery(
        Delivered(12, "r", "vip", 3, 9, False, runs), lambda run: run.producer == 8
    )
    assert [(run["producer"], run["pos_first"]) for run in shown["runs"]] == [("8", 11)]
    assert shown["runs_left_out"] == 2
    told = words.record(shown)
    assert told.startswith("0.000000 s delivered")
    assert "(pos_first=11 producer=8 n_first=5 count=2" in told


def test_a_record_is_shown_without_numbers_beyond_what_json_readers_keep() -> None:
    run = DeliveredRun(2**64 - 1, 5, 2, 0, 1, 2**63)
    shown = plain_record(Delivered(12, "r", "vip", 3, 9, False, (run,)))
    assert shown["record"] == "delivered"
    assert shown["session"] == "3"
    assert shown["runs"][0]["producer"] == str(2**64 - 1)
    assert shown["runs"][0]["digest"] == str(2**63)
    witness = result.Witness(summary="x", records=[shown])
    check = result.Check(
        id="A5", name="CORRUPT", status=result.CheckStatus.FAIL, witnesses=[witness]
    )
    codec.encode(msgspec.structs.replace(examples.passed(), checks=[check]))
