"""Results as JSON: written checked, read strictly, and their published schema."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar

import msgspec

from harness.docstrings import told_by
from harness.errors import UsageError
from harness.report.result import INTEGER_LIMIT, RESULT_SCHEMA, SUITE_SCHEMA, Result, Suite

Read = TypeVar("Read", Result, Suite)


class _Tagged(msgspec.Struct):
    schema: str = ""


def encode(value: Result | Suite) -> bytes:
    """Return indented UTF-8 JSON that decodes to an equal value.

    Raises:
        ValueError: It holds NaN, an infinity or a whole number at or beyond 2^53, or breaks a rule
            of the schema; the message names the key.
    """
    plain = msgspec.to_builtins(value)
    _refuse_damaging_numbers(plain, "")
    data = msgspec.json.encode(plain)
    # Struct constraints are enforced when decoding only, so a value is read back before it leaves.
    msgspec.json.decode(data, type=type(value))
    return msgspec.json.format(data, indent=2) + b"\n"


def decode_result(data: bytes) -> Result:
    """Return the result that `data` holds.

    Raises:
        msgspec.DecodeError: It is not JSON, or not a result of this schema version.
        UsageError: A newer Tallystick has written it.
    """
    return _decode(data, Result)


def decode_suite(data: bytes) -> Suite:
    """Return the suite that `data` holds.

    Raises:
        msgspec.DecodeError: It is not JSON, or not a suite of this schema version.
        UsageError: A newer Tallystick has written it.
    """
    return _decode(data, Suite)


def _decode(data: bytes, kind: type[Read]) -> Read:
    try:
        newer = _newer_schema(data, kind)
        if newer:
            ours = RESULT_SCHEMA if kind is Result else SUITE_SCHEMA
            raise UsageError(f"written by a newer Tallystick, as {newer}; this one reads {ours}")
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def _newer_schema(data: bytes, kind: type[Read]) -> str:
    """Return the schema that a file names, if it is a later version than ours, else ""."""
    named = msgspec.json.decode(data, type=_Tagged).schema
    ours = RESULT_SCHEMA if kind is Result else SUITE_SCHEMA
    name, _, version = named.partition("/")
    our_name, _, our_version = ours.partition("/")
    numbers = [part.split(".") for part in (version, our_version)]
    if name != our_name or not all(word.isdecimal() for part in numbers for word in part):
        return ""
    theirs, mine = ([int(word) for word in part] for part in numbers)
    return named if theirs > mine else ""


def schema(kind: Literal["result", "suite"] = "result") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of result or suite files, every key described."""
    described = msgspec.json.schema(Result if kind == "result" else Suite)
    for definition in described["$defs"].values():
        told = told_by(definition.get("description"))
        definition["description"] = told.about
        # Files are written in full, so that every key may be relied on.
        if "properties" in definition:
            definition["required"] = list(definition["properties"])
            for key, described_key in definition["properties"].items():
                described_key.pop("default", None)
                described_key["description"] = told.fields.get(key, "")
    name = RESULT_SCHEMA if kind == "result" else SUITE_SCHEMA
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{name.replace('/', ':')}",
        **described,
    }


def _refuse_damaging_numbers(value: Any, where: str) -> None:
    match value:
        case bool() | str() | None:
            pass
        case int():
            if abs(value) >= INTEGER_LIMIT:
                raise ValueError(f"{where}: {value} is not below 2^53")
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{where}: {value} is no JSON number")
        case dict():
            for key, item in value.items():
                _refuse_damaging_numbers(item, f"{where}.{key}" if where else str(key))
        case list() | tuple():
            for index, item in enumerate(value):
                _refuse_damaging_numbers(item, f"{where}[{index}]")
