"""Whose certificates are believed."""

from __future__ import annotations

import ssl

from healthmon.model.errors import TransportDown


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Checks certificate and host name, against this authority or those of the system. Raises TransportDown."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise TransportDown(f"ca_file {ca_file}: {error}") from None
