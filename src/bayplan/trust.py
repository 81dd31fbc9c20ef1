"""Whose certificates are trusted where bayplan itself speaks TLS: to an engine, to a registry."""

from __future__ import annotations

import ssl


def trust(ca: str | None = None) -> ssl.SSLContext:
    """The system's authorities, or those of a PEM file. Raises OSError, of which ssl.SSLError is one.

    An authority made as Docker's documentation says (`openssl req -new -x509`) tells no key usage. Docker and OpenSSL
    take it; Python would not from 3.13 on (VERIFY_X509_STRICT).
    """
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
