"""When the patience with a system is over, and what is said of it then."""

from __future__ import annotations

from pathlib import Path

from harness.report.result import ClientError
from harness.run.outage import (
    CUT_OFF_PATIENCE_S,
    FRESH_S,
    PATIENCE_S,
    Outage,
    end_of_log,
    last_words,
)

S = 1_000_000_000


def watch(
    until_s: float,
    *,
    errors_until_s: float = 1e9,
    moves_every_s: float = 0,
    waiting: bool = True,
    disturbed_until_s: float = 0,
    dead: bool = False,
    cut_off: bool = False,
    back_within_s: float = 0,
    moves_at_s: float = 1e9,
) -> float | None:
    """Look twice a second; return when the patience was over, None if it never was."""
    outage, t_s = Outage(back_within_s=back_within_s), 0.0
    while t_s < until_s:
        counted = {
            "ok": int(t_s / moves_every_s) if moves_every_s else 5 + (t_s >= moves_at_s),
            "open": int(waiting),
            "errors": int(2 * min(t_s, errors_until_s)),
        }
        disturbed = t_s < disturbed_until_s
        if outage.look(int(t_s * S), counted, disturbed=disturbed, dead=dead, cut_off=cut_off):
            return t_s
        t_s += 0.5
    return None


def test_nothing_but_errors_is_borne_for_so_long() -> None:
    assert watch(60) == PATIENCE_S


def test_one_message_now_and_then_is_enough() -> None:
    assert watch(120, moves_every_s=PATIENCE_S - 1) is None


def test_who_waits_for_nothing_or_is_told_nothing_is_patient() -> None:
    assert watch(120, waiting=False) is None
    assert watch(120, errors_until_s=PATIENCE_S - FRESH_S - 1) is None
    assert watch(120, errors_until_s=0, dead=True) == PATIENCE_S


def test_where_nothing_can_come_hardly_anything_is_waited_for() -> None:
    assert watch(120, errors_until_s=0, dead=True, cut_off=True) == CUT_OFF_PATIENCE_S
    assert watch(120, dead=True, cut_off=True, moves_every_s=1, waiting=True) is None
    # Nor does it matter then who waits, or which fault is under way and finds nothing to strike.
    assert watch(120, dead=True, cut_off=True, waiting=False) == CUT_OFF_PATIENCE_S
    assert watch(120, dead=True, cut_off=True, disturbed_until_s=1e9) == CUT_OFF_PATIENCE_S
    assert watch(120, dead=True, waiting=False) is None
    assert watch(120, dead=True, disturbed_until_s=1e9) is None


def test_it_begins_anew_behind_a_planned_fault() -> None:
    assert watch(120, disturbed_until_s=40) == 40 + PATIENCE_S - 0.5
    assert watch(120, disturbed_until_s=1e9) is None


def test_a_system_that_was_struck_may_take_its_time_to_come_back() -> None:
    """Kafka says 20 s; a machine that is busy must not make an outage of that."""
    back = 40 + 20 + PATIENCE_S - 0.5
    assert watch(120, disturbed_until_s=40, back_within_s=20) == back
    # One that was there in between is as silent as any other.
    assert watch(120, disturbed_until_s=40, back_within_s=20, moves_at_s=45) == 45 + PATIENCE_S
    assert watch(120, back_within_s=20) == PATIENCE_S
    # What ended by itself does not come back.
    assert watch(120, disturbed_until_s=40, back_within_s=20, dead=True) == 40 + PATIENCE_S - 0.5


def told(kind: str, last_ns: int, who: str = "sender") -> ClientError:
    return ClientError(
        who=who, occasion="lost", kind=kind, last=kind, count=3, first_ns=0, last_ns=last_ns
    )


def test_the_last_words_are_those_of_the_outage() -> None:
    errors = [told("reset", 5), told("OOM", 9), told("early", 2, "receiver")]
    assert last_words(errors, 4) == "senders were told 3 times, last: OOM"
    assert last_words(errors, 10) == ""


def test_what_the_system_said_goes_before_that_a_client_waited_in_vain() -> None:
    said = told("Authorization Violation", 5)
    waited = told("client-edge:near:load-1: TimeoutError", 9)
    assert last_words([said, waited], 4).endswith("last: Authorization Violation")
    assert last_words([said, waited], 6).endswith("TimeoutError")


def test_a_log_ends_with_its_last_line_of_text(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert end_of_log(log) == ""
    log.write_text("y" * 9_000 + "\nfatal: disk full\n\n  \n")
    assert end_of_log(log) == "fatal: disk full"
