"""Certificates of a test's own, made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """Who signs. ca: the path of its certificate, PEM."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    def signed(self, name: str) -> tuple[Path, Path]:
        """A certificate for who is called so, or has that address, and its key."""
        pem, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        kind = "IP" if name.replace(".", "").isdigit() else "DNS"
        signed = (
            "-CA",
            str(self.ca),
            "-CAkey",
            str(self.directory / "ca.key"),
            "-addext",
            f"subjectAltName={kind}:{name}",
        )
        _openssl(pem, key, name, *signed, "-addext", "basicConstraints=critical,CA:FALSE")
        return pem, key

    def server(self, name: str) -> ssl.SSLContext:
        """What a server speaks TLS with that is called so."""
        pem, key = self.signed(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        return context


def authority(directory: Path) -> Authority:
    """A new one, whose files are there."""
    _openssl(directory / "ca.pem", directory / "ca.key", "a test's authority")
    return Authority(directory)


def _openssl(pem: Path, key: Path, name: str, *more: str) -> None:
    argv = [*_NEW, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(pem), *more]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
