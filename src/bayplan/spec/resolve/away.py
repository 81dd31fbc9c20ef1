"""How gateways speak TLS to a service that is not run here."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Final

from bayplan.spec.model import External
from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.resolve.mounts import absolute
from bayplan.spec.written.extension import ExternalServiceFile
from bayplan.units import show_bytes

# A gateway carries it with all that it is configured with, and is asked for that at every look.
_CA_LONGEST: Final = 64 * 1024


def tls_of(service: str, written: ExternalServiceFile, plain: External, around: Surroundings) -> External:
    """The same, with what `tls` says. HAProxy checks a certificate for a name, never for an address."""
    tls = written.tls
    if tls is None or not tls.is_spoken:
        return plain
    name = tls.name or plain.address
    where = ("services", service, "x-bayplan", "external", "tls")
    if re.fullmatch(r"[\d.]+", name):
        around.wrong(
            f"services.{service}.x-bayplan.external: its certificate's name is not known, {name} is an address", *where,
            todo="write tls: {name: …}, the name that its certificate is for",
        )  # fmt: skip
    ca = _read(service, tls.ca, around) if tls.ca else ""
    return plain.model_copy(update={"tls": True, "name": name, "ca": ca})


def _read(service: str, file: str, around: Surroundings) -> str:
    """The certificates in a file (or written there), which are no secret, without the comments between them."""
    path = "what is written" if "\n" in file else absolute(file, around)
    try:
        text = file if "\n" in file else Path(path).read_text("ascii", errors="replace")
        found = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", text, re.DOTALL)
        ca = "".join(f"{pem.strip()}\n" for pem in found)
        ssl.create_default_context(cadata=ca or "none")
    except (ssl.SSLError, ValueError):
        _wrong(service, f"{path} has no certificates in PEM form", "-----BEGIN CERTIFICATE----- begins one", around)
    except OSError as error:
        why = f"there is no {path}" if isinstance(error, FileNotFoundError) else f"{error.strerror}: {path}"
        _wrong(service, why, "write the path of a file of PEM certificates", around)
    else:
        if len(ca) <= _CA_LONGEST:
            return ca
        most = f"{path} has {show_bytes(len(ca))} of certificates, of at most {show_bytes(_CA_LONGEST)}"
        _wrong(service, most, "keep the one that signed the service's (a provider's bundle has one a region)", around)
    return ""


def _wrong(service: str, why: str, todo: str, around: Surroundings) -> None:
    where = ("services", service, "x-bayplan", "external", "tls", "ca")
    around.wrong(f"services.{service}.x-bayplan.external.tls.ca: {why}", *where, todo=todo)
