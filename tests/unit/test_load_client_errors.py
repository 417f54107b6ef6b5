"""What clients were told: few kinds, the system's own words, and no secrets in them."""

from __future__ import annotations

import pytest

from harness.load.client_errors import (
    KINDS_MAX,
    OTHER,
    TEXT_CHARS_MAX,
    ClientErrors,
    fold,
    secrets_of,
    together,
    without,
)
from harness.systems.broker.settings import PASSWORD_VARIABLE, TOKEN_VARIABLE


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (
            ["Connect call failed ('127.0.0.1', 10234)", "Connect call failed ('127.0.0.1', 7)"],
            "Connect call failed <address>",
        ),
        (["no answer for 5 s", "no answer for 2.5 s"], "no answer for <n> s"),
        (["dial 10.0.0.7:4222", "dial [::1]:4222"], "dial <address>"),
        (
            ["client-edge:eu:sender-3: no answer", "client-edge:us:x: no answer"],
            "<link>: no answer",
        ),
        (["script f3a9c0de11, on @user_script:8"], "script <id>, on @user_script:<n>"),
        (["[Errno 104] Connection reset by peer"], "[Errno 104] Connection reset by peer"),
        (
            ["refused: OOM command not allowed when used memory > 'maxmemory'."],
            "refused: OOM command not allowed when used memory > 'maxmemory'.",
        ),
        (["nats: x509 failed, sha256"], "nats: x509 failed, sha256"),
        (
            ["id 123e4567-e89b-12d3-a456-426614174000 gone", "id deadbeef01 gone"],
            "id <id> gone",
        ),
    ],
)
def test_texts_of_one_kind_are_one(texts: list[str], kind: str) -> None:
    assert {fold(text) for text in texts} == {kind}


def test_each_kind_has_its_count_its_times_and_its_last_text() -> None:
    errors = ClientErrors()
    errors.hear("sender", "lost", "refused 7", 30)
    errors.hear("sender", "lost", "refused 9", 50)
    errors.hear("receiver", "lost", "refused 9", 40)
    errors.hear("sender", "outcome", "too large", 60, count=12)
    errors.hear("sender", "connect", "", 61)
    told = {(one.who, one.occasion): one for one in errors.told()}
    lost = told["sender", "lost"]
    assert (lost.kind, lost.last, lost.count) == ("refused <n>", "refused 9", 2)
    assert (lost.first_ns, lost.last_ns) == (30, 50)
    assert told["sender", "outcome"].count == 12
    assert told["sender", "connect"].last == "no reason given"
    assert errors.told()[0].count == 12, "the most frequent first"
    assert errors.count == 5


def test_kinds_and_texts_are_bounded() -> None:
    errors = ClientErrors()
    words = [chr(ord("a") + i % 26) * (1 + i // 26) for i in range(3 * KINDS_MAX)]
    for t_ns, word in enumerate(words):
        errors.hear("sender", "lost", f"{word} {'z' * 5_000}", t_ns)
    told = errors.told()
    assert len(told) == KINDS_MAX + 1
    assert told[0].kind == OTHER
    assert sum(one.count for one in told) == 3 * KINDS_MAX
    assert max(len(one.last) for one in told) == TEXT_CHARS_MAX
    assert len(together([told, told])) <= KINDS_MAX + 1


def test_several_processes_are_told_as_one() -> None:
    one, other = ClientErrors(), ClientErrors()
    one.hear("sender", "lost", "gone 1", 5)
    one.hear("sender", "lost", "gone 2", 9)
    other.hear("sender", "lost", "gone 3", 7)
    (both,) = together([one.told(), other.told()])
    assert (both.count, both.first_ns, both.last_ns, both.last) == (3, 5, 9, "gone 2")


def test_no_secret_is_in_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    monkeypatch.setenv(TOKEN_VARIABLE, "sesame")
    connect = {"token": "aaaabbbb", "endpoint": {"password": "deep one"}, "prefix": "inbox:"}
    errors = ClientErrors(secrets_of(connect))
    errors.hear("sender", "connect", "no 'open sesame' nor sesame: aaaabbbb, deep one, inbox:", 1)
    errors.hear("sender", "connect", "cannot reach nats://ann:hidden@host:4222/x", 2)
    text = " ".join(one.last + one.kind for one in errors.told())
    for secret in ("sesame", "aaaabbbb", "deep one", "ann:hidden"):
        assert secret not in text
    assert "inbox:" in text
    assert "nats://***@host" in text


def test_settings_are_shown_without_what_clients_log_in_with() -> None:
    connect = {"password": "a+secret", "token": "a+secret+and+more", "prefix": "inbox:"}
    config = {
        "server_config": "port 7\nrequirepass a+secret\n",
        "notes": ["a+secret+and+more"],
        "n": 3,
    }
    assert without(secrets_of(connect), config) == {
        "server_config": "port 7\nrequirepass ***\n",
        "notes": ["***"],
        "n": 3,
    }
