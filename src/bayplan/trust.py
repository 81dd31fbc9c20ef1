"""Whose certificates are trusted where bayplan itself speaks TLS: to an engine, to a registry."""

from __future__ import annotations

import ssl
from typing import Final

REGISTRIES: Final = "/etc/docker/certs.d"  # where Docker looks for a private registry's authority: so do we


def how_to_trust(registry: str) -> str:
    """What to do about a registry, `host:port`, whose certificate nobody knows."""
    return f"put its authority's certificate into {REGISTRIES}/{registry}/ca.crt, here and on every host"


def trust(ca: str | None = None) -> ssl.SSLContext:
    """The system's authorities, or those of a PEM file. Raises OSError, of which ssl.SSLError is one.

    An authority made as Docker's documentation says (`openssl req -new -x509`) tells no key usage. Docker and OpenSSL
    take it; Python would not from 3.13 on (VERIFY_X509_STRICT).
    """
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
