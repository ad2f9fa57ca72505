"""An authority that certifies servers and clients, with files as Kafka, Redis and workers read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True, slots=True)
class Certified:
    """The PEM files of one party; Kafka reads key and certificate from one file."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs certificates and keeps them in a directory; `file` is what others trust it by."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._authority = trustme.CA()
        self.file = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def certify(self, name: str, *hosts: str) -> Certified:
        """Return a party by its common name; a server's hosts are names or addresses."""
        # Java refuses certificates with an empty list of alternative names
        issued = self._authority.issue_cert(*(hosts or (f"{name}.invalid",)), common_name=name)
        certificate = b"".join(each.bytes() for each in issued.cert_chain_pems)
        # Kafka takes PKCS #8 only
        key = load_pem_private_key(issued.private_key_pem.bytes(), None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return Certified(
            self._write(f"{name}.crt", certificate),
            self._write(f"{name}.key", key),
            self._write(f"{name}.pem", key + certificate),
        )

    def _write(self, name: str, content: bytes) -> Path:
        file = self._directory / name
        file.write_bytes(content)
        return file
