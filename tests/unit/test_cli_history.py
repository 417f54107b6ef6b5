"""`history`: one message's records, by time, in words; and the command that a failure prints."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import pytest

from harness.cli.main import run_cli
from harness.history import records as h
from harness.history.reader import read_folder
from harness.report.codec import decode_result
from harness.report.result import Result
from harness.report.summary import result_markdown
from harness.report.terminal import make_console, print_result
from harness.testing.stored_runs import simulated_records, store_run, write_history

PRODUCER = 2**63 + 5
BOX = "teams/blue@home"


def scripted() -> list[h.Record]:
    """A message that was sent through a cut, acknowledged at the second attempt, read twice."""
    run = h.DeliveredRun(PRODUCER, 0, 4, 1, 5, 99)
    return [
        h.Opened(5, 1, "reader", BOX, 1, -1, 0, "east"),
        h.FaultMarked(6, "f0", "link_cut", "long-gone", "requested", False, {}),
        h.FaultMarked(7, "f0", "link_cut", "long-gone", "healed", True, {}),
        h.Invoked(10, 1, PRODUCER, BOX, 0, 4, 8),
        h.FaultMarked(11, "f1", "link_cut", "edge-core:east", "requested", False, {}),
        h.FaultMarked(12, "f1", "link_cut", "edge-core:east", "confirmed", True, {"cut": 2.0}),
        h.Invoked(13, 1, PRODUCER, "elsewhere", 0, 4, 8),
        h.FaultMarked(15, "f1", "link_cut", "edge-core:east", "healed", True, {"cut": 2.0}),
        h.Delivered(18, "reader", BOX, 1, 0, False, (run,)),
        h.AckInvoked(19, "reader", BOX, 1, 1),
        h.AckInvoked(20, "reader", BOX, 1, 3),
        h.AckCompleted(21, "reader", BOX, 1, 3, "ok"),
        h.Completed(22, 1, PRODUCER, BOX, 0, 4, "ok", -1, 1, 2, ""),
        h.FaultMarked(23, "f2", "link_cut", "too-late", "requested", False, {}),
        h.FaultMarked(24, "f2", "link_cut", "too-late", "healed", True, {}),
        h.EndRead(30, 29, "reader", BOX, 3),
        h.Stored(
            40, BOX, 1, 2, 5, 2, 7,
            (1).to_bytes(8, "little") + (3).to_bytes(8, "little"),
            PRODUCER.to_bytes(8, "little") * 2,
            (1).to_bytes(8, "little") + (3).to_bytes(8, "little"),
        ),
        h.Closed(50, "reader", BOX, 1, "logout", 49),
    ]  # fmt: skip


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    write_history(folder / "history", scripted())
    return folder


def told(capsys, *arguments: str) -> list[str]:
    assert run_cli(["history", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_all_records_of_a_message_are_told_in_the_order_of_time(run_dir: Path, capsys) -> None:
    lines = told(capsys, str(run_dir), "--message", f"{PRODUCER}/{BOX}/3")
    assert lines[0] == f"message 3 of producer {PRODUCER} to {BOX}"
    texts = [line.split(" s  ", 1)[1] for line in lines[1:]]
    begins = [
        "session 1 of reader opened at east, from the start, next position 0",
        "send invoked, with n 0 to 3, 0.0 ms after it was due",
        "fault f1: link_cut on edge-core:east requested",
        "fault f1: link_cut on edge-core:east confirmed (cut 2)",
        "fault f1: link_cut on edge-core:east healed (cut 2)",
        "delivered to reader in session 1 at position 3 (epoch 1, 5 buckets)",
        "cursor ack up to 3 by reader in session 1: asked for",
        "cursor ack up to 3 by reader in session 1: confirmed",
        "acknowledged after 2 attempts, with n 0 to 3",
        "end read by reader: nothing beyond position 3",
        "found stored at position 3, epoch 1, bucket 2 of 5, place 8 in the bucket",
        "session 1 of reader ended: logout",
    ]
    assert len(texts) == len(begins)
    for text, begin in zip(texts, begins, strict=True):
        assert text.startswith(begin)
    assert texts[1].endswith("[history/0000.msgpack#3]")


def test_a_position_stands_for_what_lies_there_and_has_neighbours(run_dir: Path, capsys) -> None:
    lines = told(capsys, str(run_dir / "result.json"), "--message", f"{BOX}@1", "--around", "1")
    assert lines[0] == f"message 1 of producer {PRODUCER} to {BOX}"
    near = lines[lines.index(f"around position 1 of {BOX}:") + 1 :]
    assert [line.lstrip("> ").split()[1] for line in near] == [
        f"{PRODUCER}/{BOX}/{n}:" for n in (0, 1, 2)
    ]
    assert [line[0] for line in near] == [" ", ">", " "]
    # The acknowledgement named no position and is found all the same.
    assert all("acknowledged 0.000000 s" in line for line in near)


def test_a_run_that_was_cut_off_is_told_as_far_as_it_was_written(run_dir: Path, capsys) -> None:
    (run_dir / "history" / "index.json").unlink()
    segment = run_dir / "history" / "0000.msgpack"
    segment.write_bytes(segment.read_bytes()[:-20])
    lines = told(capsys, str(run_dir), "--message", f"{PRODUCER}/{BOX}/0", "--json")
    found = json.loads("\n".join(lines))
    assert found["message"] == f"{PRODUCER}/{BOX}/0"
    assert found["positions"] == [0]
    assert [event["t_ns"] for event in found["events"]] == sorted(
        event["t_ns"] for event in found["events"]
    )


def reused() -> list[h.Record]:
    """A log that was empty again behind a kill: position 0 was given out twice."""
    other = h.DeliveredRun(PRODUCER, 1, 1, 0, 1, 99)
    kill = ("f1", "process_kill", "core")
    return [
        h.Invoked(10, 1, PRODUCER, BOX, 0, 1, 8),
        h.Completed(12, 1, PRODUCER, BOX, 0, 1, "ok", 0, 0, 1, ""),
        h.FaultMarked(20, *kill, "requested", False, {}),
        h.FaultMarked(21, *kill, "confirmed", True, {"gone": 1.0}),
        h.FaultMarked(22, *kill, "healed", True, {"gone": 1.0}),
        h.Invoked(30, 1, PRODUCER, BOX, 1, 1, 29),
        h.Opened(31, 30, "reader", BOX, 1, -1, 0, "east"),
        h.Delivered(32, "reader", BOX, 1, 0, False, (other,)),
        h.Completed(33, 1, PRODUCER, BOX, 1, 1, "ok", 0, 0, 1, ""),
        h.FaultMarked(90, "f2", "process_kill", "core", "requested", False, {}),
        h.FaultMarked(91, "f2", "process_kill", "core", "healed", True, {}),
    ]


@pytest.mark.parametrize("message", [f"{BOX}@0", f"sender-3/{BOX}/0", f"{PRODUCER}/{BOX}/0"])
def test_a_position_given_out_twice_tells_both_messages_and_the_fault_between(
    message: str, tmp_path: Path, capsys
) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"senders": {str(PRODUCER): "sender-3"}}))
    write_history(tmp_path / "history", reused())
    lines = told(capsys, str(tmp_path), "--message", message)
    assert lines[0] == f"2 messages were seen at position 0 of {BOX}:"
    assert lines[1:3] == [
        f"  message {n} of sender-3 (producer {PRODUCER}) to {BOX}" for n in (0, 1)
    ]
    begins = [
        f"sender-3/{BOX}/0: send invoked",
        f"sender-3/{BOX}/0: acknowledged at position 0",
        "fault f1: process_kill on core requested",
        "fault f1: process_kill on core confirmed (gone 1)",
        "fault f1: process_kill on core healed (gone 1)",
        f"sender-3/{BOX}/1: send invoked",
        "session 1 of reader opened at east",
        f"sender-3/{BOX}/1: delivered to reader",
        f"sender-3/{BOX}/1: acknowledged at position 0",
    ]
    texts = [line.split(" s  ", 1)[1] for line in lines[3:]]
    assert len(texts) == len(begins)
    assert all(text.startswith(begin) for text, begin in zip(texts, begins, strict=True))


def test_a_message_that_is_not_there_is_told_with_the_names_of_senders(
    tmp_path: Path, capsys
) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"senders": {str(PRODUCER): "sender-3"}}))
    write_history(tmp_path / "history", reused())
    for message, hint in (
        (f"sender-3/{BOX}/77", f"sender-3 sent no message 77 to {BOX}"),
        (f"{BOX}@77", f"to {BOX} sent: sender-3, …"),
    ):
        assert run_cli(["history", str(tmp_path), "--message", message]) == 2
        assert hint in capsys.readouterr().err


def test_an_inspection_that_lacks_a_message_is_part_of_its_way(tmp_path: Path, capsys) -> None:
    (tmp_path / "result.json").write_text("{}")
    run = h.DeliveredRun(PRODUCER, 0, 1, 0, 1, 99)
    kill = ("f1", "process_kill", "core")
    records = [
        h.Invoked(10, 1, PRODUCER, BOX, 0, 1, 8),
        h.Completed(12, 1, PRODUCER, BOX, 0, 1, "ok", 0, 0, 1, ""),
        h.Delivered(13, "reader", BOX, 1, 0, False, (run,)),
        h.FaultMarked(20, *kill, "requested", False, {}),
        h.FaultMarked(22, *kill, "healed", True, {}),
        h.StoredEnd(40, BOX, 0, -1, 39),
    ]
    write_history(tmp_path / "history", records)
    text = "\n".join(told(capsys, str(tmp_path), "--message", f"{PRODUCER}/{BOX}/0"))
    assert "an inspection of the store did not find it" in text
    assert "fault f1: process_kill on core requested" in text


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("vip/3", "write producer/inbox/n"),
        (f"{2**64}/{BOX}/3", "64-bit"),
        (f"{PRODUCER}/{BOX}/4", "sent no message 4"),
        (f"1/{BOX}/3", f"sent: producer {PRODUCER}, …"),
        ("1/nobody/3", "nobody sent to an inbox 'nobody'"),
        (f"{BOX}@77", "no record of"),
    ],
)
def test_what_is_not_there_is_said_with_a_hint(
    message: str, word: str, run_dir: Path, capsys
) -> None:
    assert run_cli(["history", str(run_dir), "--message", message]) == 2
    assert word in capsys.readouterr().err


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A stored run in which every delivery of one message is missing."""
    run_dir = tmp_path_factory.mktemp("lossy") / "run"
    run_dir.mkdir()
    records, trims = simulated_records(20)
    gone = next(r for r in records if isinstance(r, h.Delivered)).runs[0]

    def holds(record: h.Record) -> bool:
        return isinstance(record, h.Delivered) and any(
            (run.producer, run.n_first) == (gone.producer, gone.n_first) for run in record.runs
        )

    kept = [record for record in records if not holds(record)]
    return run_dir, store_run(run_dir, kept, seed=20, trims=trims)


def test_a_failure_prints_a_command_that_works(lossy, capsys) -> None:
    run_dir, result = lossy
    assert result.verdict.status == "FAIL"
    out = io.StringIO()
    print_result(make_console(out), result, run_dir)
    (line, *_) = [line for line in out.getvalue().splitlines() if "tallystick history" in line]
    words = shlex.split(line)
    assert run_cli(words[words.index("history") :]) == 0
    assert "send invoked" in capsys.readouterr().out
    assert "tallystick history RESULT --message" in result_markdown(result)


def test_a_witness_names_its_message_in_the_stored_result(lossy) -> None:
    run_dir, _ = lossy
    stored = decode_result((run_dir / "result.json").read_bytes())
    named = {w.message for c in stored.checks for w in c.witnesses if w.message}
    sent = {
        f"{r.producer}/{r.inbox}"
        for r in read_folder(run_dir / "history")
        if isinstance(r, h.Invoked)
    }
    assert named
    assert {name.rpartition("/")[0] for name in named if "@" not in name} <= sent
