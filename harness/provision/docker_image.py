"""Copies the Toxiproxy server out of a container image, and asks whether a Docker engine answers.

This way was tested with an engine of our own making that answers as the SDK does; the project's own
CI has no Docker engine, so it has not been run there against a live one.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Protocol, cast

from harness.errors import SetupError

IN_IMAGE: Final = "/toxiproxy"
"""Where the official images have the server."""

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
"""Where the SDK looks without `DOCKER_HOST`."""

BINARY_BYTES_MAX: Final = 256 * 1024 * 1024
"""A larger file is no Toxiproxy server (11 MB)."""

ENGINE_TIMEOUT_S: Final = 60
"""The longest that one request to the engine may take; a pull streams and may take longer."""


class Container(Protocol):
    """What we use of the SDK's container."""

    def get_archive(self, path: str) -> tuple[Iterable[bytes], dict[str, Any]]:
        """Return a file of the container as the pieces of a tar archive."""
        ...

    def remove(self, *, force: bool) -> None:
        """Remove the container."""
        ...


class Engine(Protocol):
    """What we use of the SDK's client, so that a test can stand in for an engine."""

    @property
    def images(self) -> Any:
        """The images, with `pull(name)`."""
        ...

    @property
    def containers(self) -> Any:
        """The containers, with `create(name)`."""
        ...

    def version(self) -> dict[str, Any]:
        """Return what the engine says of itself."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def connect() -> Engine:
    """Return a client of the engine that the environment names (`DOCKER_HOST`, or the default).

    Raises:
        SetupError: The SDK is not installed, or no engine answers.
    """
    try:
        import docker
    except ImportError as error:
        raise SetupError("the Python package docker is not installed") from error
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).exists():
        # Asked before the SDK is: it would leave its own socket open and tell less.
        raise SetupError(f"no Docker engine answers (there is no {host.removeprefix('unix://')})")
    try:
        client = docker.from_env(timeout=ENGINE_TIMEOUT_S)
    except docker.errors.DockerException as error:
        raise SetupError(f"no Docker engine answers ({_first_line(error)})") from error
    return cast("Engine", client)


def engine_version(open_engine: Callable[[], Engine] = connect) -> str:
    """Return the version of the engine that answers.

    Raises:
        SetupError: None does.
    """
    engine = open_engine()
    try:
        return str(engine.version().get("Version", "unknown"))
    except Exception as error:
        raise SetupError(f"the Docker engine did not answer ({_first_line(error)})") from error
    finally:
        engine.close()


def copy_from_image(image: str, binary: Path, open_engine: Callable[[], Engine] = connect) -> None:
    """Write the server of `image` to `binary`. No container is started.

    The image is pulled only when the engine does not have it. The container that is made to read
    from is removed in any case.

    Raises:
        SetupError: No engine answers, the image cannot be had, or holds no server.
    """
    engine = open_engine()
    try:
        container = _create(engine, image)
        try:
            pieces, _ = container.get_archive(IN_IMAGE)
            binary.write_bytes(_only_file(pieces))
        finally:
            container.remove(force=True)
    except SetupError:
        raise
    except Exception as error:
        # The SDK lets errors of its HTTP client through, beside its own.
        raise SetupError(f"cannot copy {IN_IMAGE} of {image}: {_first_line(error)}") from error
    finally:
        with suppress(OSError):
            engine.close()
    binary.chmod(0o755)


def _create(engine: Engine, image: str) -> Container:
    try:
        return cast("Container", engine.containers.create(image))
    except Exception as error:
        # Told apart by name: the SDK is optional at import, and a stand-in has its own class.
        if type(error).__name__ != "ImageNotFound":
            raise
    name, colon, tag = image.rpartition(":")
    # A pull without a tag would bring all of them; a colon may belong to the registry's port.
    full = image if colon and "/" not in tag and name else f"{image}:latest"
    engine.images.pull(full)
    return cast("Container", engine.containers.create(full))


def _only_file(pieces: Iterable[bytes]) -> bytes:
    archive = BytesIO()
    for piece in pieces:
        archive.write(piece)
        if archive.tell() > BINARY_BYTES_MAX:
            raise SetupError(f"{IN_IMAGE} is larger than {BINARY_BYTES_MAX} bytes")
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                return file.read()
    raise SetupError(f"the image has no file {IN_IMAGE}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
