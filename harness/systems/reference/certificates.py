"""An authority for one run, and what it certifies: the core and the edges by different names.

Its private key is never written. Those of the nodes lie in a folder of the run that its owner alone
can read, and are removed when the run has ended.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import HarnessError
from reference.node.tls import TlsFiles

FOLDER: Final = "tls"

CORE_NAME: Final = "core"
EDGE_NAME: Final = "edge"
"""Names in the certificates: an edge's does not pass for the core's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Where the certificates of one run lie."""

    folder: Path

    @property
    def authority(self) -> str:
        """The file that all who dial trust."""
        return str(self.folder / "authority.pem")

    @property
    def core(self) -> TlsFiles:
        """What the core needs."""
        return self._files(CORE_NAME)

    @property
    def edge(self) -> TlsFiles:
        """What an edge needs."""
        return self._files(EDGE_NAME)

    def _files(self, name: str) -> TlsFiles:
        return TlsFiles(
            certificate=str(self.folder / f"{name}.pem"),
            key=str(self.folder / f"{name}.key"),
            authority=self.authority,
            core_name=CORE_NAME,
        )

    def remove(self) -> None:
        """Remove all of them. Idempotent."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_certificates(run_dir: Path) -> Certificates:
    """Make a fresh authority and its certificates in a folder of the run.

    Raises:
        HarnessError: The package for it is not installed.
    """
    try:
        import trustme
    except ImportError:
        raise HarnessError("TLS needs certificates: pip install 'tallystick[tls]'") from None
    made = Certificates(folder=run_dir / FOLDER)
    made.folder.mkdir(mode=0o700, parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(made.authority)
    for name in (CORE_NAME, EDGE_NAME):
        files = made.core if name == CORE_NAME else made.edge
        issued = authority.issue_cert(name)
        Path(files.certificate).write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        _write_private(Path(files.key), issued.private_key_pem.bytes())
    return made


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
