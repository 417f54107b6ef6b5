"""Copying the server out of an image, with an engine of our own making in place of Docker's."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SetupError
from harness.provision import docker_image, toxiproxy

CONTENT = b"#!/bin/sh\necho 'toxiproxy-server version 2.12.0'\n"


class ImageNotFound(Exception):
    """Named as the SDK's."""


class FakeEngine:
    """Answers as the SDK does: one image that is there or can be pulled, one container at most."""

    def __init__(self, *, content: bytes | None = CONTENT, local: bool = True) -> None:
        self.content = content
        self.names = {"ghcr.io/shopify/toxiproxy:2.12.0"} if local else set()
        self.pulled: list[str] = []
        self.removed = 0
        self.closed = False
        self.images = self
        self.containers = self

    def pull(self, name: str) -> None:
        self.pulled.append(name)
        self.names.add(name)

    def create(self, name: str) -> FakeEngine:
        if name not in self.names:
            raise ImageNotFound(name)
        return self

    def get_archive(self, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        assert path == "/toxiproxy"
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            if self.content is not None:
                member = tarfile.TarInfo("toxiproxy")
                member.size = len(self.content)
                tar.addfile(member, io.BytesIO(self.content))
        data = stream.getvalue()
        return iter([data[:100], data[100:]]), {}

    def remove(self, *, force: bool) -> None:
        assert force
        self.removed += 1

    def version(self) -> dict[str, Any]:
        return {"Version": "28.1"}

    def close(self) -> None:
        self.closed = True


def test_copies_the_binary_and_removes_the_container(tmp_path: Path) -> None:
    engine = FakeEngine()
    binary = tmp_path / "server"
    docker_image.copy_from_image("ghcr.io/shopify/toxiproxy:2.12.0", binary, lambda: engine)
    assert binary.read_bytes() == CONTENT
    assert binary.stat().st_mode & 0o111
    assert (engine.pulled, engine.removed, engine.closed) == ([], 1, True)


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("toxiproxy", "toxiproxy:latest"),
        ("host:5000/toxiproxy", "host:5000/toxiproxy:latest"),
        ("host:5000/toxiproxy:2.12.0", "host:5000/toxiproxy:2.12.0"),
    ],
)
def test_pulls_one_tag_when_the_image_is_not_there(tmp_path: Path, image: str, full: str) -> None:
    engine = FakeEngine(local=False)
    docker_image.copy_from_image(image, tmp_path / "server", lambda: engine)
    assert engine.pulled == [full]


def test_an_image_without_a_server_is_refused_and_leaves_no_container(tmp_path: Path) -> None:
    engine = FakeEngine(content=None)
    with pytest.raises(SetupError, match="has no file /toxiproxy"):
        docker_image.copy_from_image(
            "ghcr.io/shopify/toxiproxy:2.12.0", tmp_path / "server", lambda: engine
        )
    assert (engine.removed, engine.closed) == (1, True)


def test_an_endless_archive_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_image, "BINARY_BYTES_MAX", 10)
    engine = FakeEngine()
    with pytest.raises(SetupError, match="larger than 10 bytes"):
        docker_image.copy_from_image(
            "ghcr.io/shopify/toxiproxy:2.12.0", tmp_path / "server", lambda: engine
        )
    assert engine.removed == 1


def test_without_an_engine_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(toxiproxy.NAMED_BY, "docker:ghcr.io/shopify/toxiproxy:2.12.0")
    with pytest.raises(SetupError, match="no Docker engine answers"):
        docker_image.engine_version()
    with pytest.raises(SetupError, match="no Docker engine answers"):
        toxiproxy.ensure(lambda line: None)
    with pytest.raises(SetupError, match="not fetched yet"):
        toxiproxy.locate()


def test_the_image_goes_into_the_cache_and_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYSTICK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(toxiproxy.NAMED_BY, "docker:ghcr.io/shopify/toxiproxy:2.12.0")
    engine = FakeEngine()

    def copy(image: str, binary: Path) -> None:
        docker_image.copy_from_image(image, binary, lambda: engine)

    monkeypatch.setattr(toxiproxy, "copy_from_image", copy)
    found = toxiproxy.ensure(lambda line: None)
    assert found.version == "2.12.0"
    assert found.source == "docker:ghcr.io/shopify/toxiproxy:2.12.0"
    assert toxiproxy.locate() == found == toxiproxy.ensure(lambda line: None)
    assert engine.removed == 1


def test_the_engine_tells_its_version() -> None:
    engine = FakeEngine()
    assert docker_image.engine_version(lambda: engine) == "28.1"
    assert engine.closed
