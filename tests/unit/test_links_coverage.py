"""Reading what Toxiproxy tells of its connections and bytes."""

from __future__ import annotations

import json
from pathlib import Path

from harness.links.coverage import ServerLog, read_bytes

METRICS = """\
# HELP toxiproxy_proxy_sent_bytes_total
# TYPE toxiproxy_proxy_sent_bytes_total counter
toxiproxy_proxy_sent_bytes_total{direction="downstream",listener="127.0.0.1:1",proxy="a:b",upstream="127.0.0.1:2"} 3
toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="127.0.0.1:1",proxy="a:b",upstream="127.0.0.1:2"} 1.234567e+06
toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="127.0.0.1:1",proxy="a:b",upstream="127.0.0.1:9"} 1
toxiproxy_proxy_received_bytes_total{direction="upstream",listener="127.0.0.1:1",proxy="a:b",upstream="127.0.0.1:2"} 99
"""  # noqa: E501

LISTEN = "127.0.0.1:20001"


def line(message: str, error: str = "", name: str = "a", **more: int) -> str:
    entry = {"name": name, "listen": LISTEN, "message": message, "error": error, **more}
    return json.dumps(entry) + "\n"


def closed(local: str) -> str:
    return f"writeto tcp {local}->x: read tcp {local}->x: use of closed network connection"


def test_bytes_are_summed_by_proxy_and_direction() -> None:
    assert read_bytes(METRICS) == {"a:b": {"downstream": 3, "upstream": 1_234_568}}
    assert read_bytes("") == {}


def test_the_log_is_counted_line_by_line_and_read_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line("Started proxy") + line("Accepted client") + line("Accepted client")[:20])
    log = ServerLog(path)
    log.read()
    assert dict(log.accepted) == {"a": 1}
    with path.open("a") as file:
        file.write(line("Accepted client")[20:])
        file.write("panic: not JSON\n")
        file.write(line("Unable to open connection to upstream", name="b"))
        # Both directions of a cut connection are logged; it is counted once.
        file.write(line("Source terminated", closed(LISTEN)))
        file.write(line("Source terminated", closed("127.0.0.1:45000")))
        broken = "Could not write to destination"
        for local, written in ((LISTEN, 70), (LISTEN, 7), ("127.0.0.1:45000", 5)):
            error = f"readfrom tcp {local}->x: write tcp {local}->x: write: broken pipe"
            file.write(line(broken, error, bytes=written))
    log.read()
    log.read()
    assert dict(log.accepted) == {"a": 2}
    assert dict(log.unforwarded) == {"b": 1}
    assert dict(log.cut) == {"a": 1}
    assert (log.broken_down["a"], log.broken_up["a"]) == (77, 5)
    assert not log.api_failed


def test_what_came_before_its_own_start_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(line("Server finished with error"))
    log = ServerLog(path, offset=path.stat().st_size)
    log.read()
    assert not log.api_failed
    with path.open("a") as file:
        file.write(line("Server finished with error"))
    log.read()
    assert log.api_failed
