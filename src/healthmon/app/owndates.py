"""When healthmon's own certificates and tokens end, for the calendar of dates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from healthmon.config import SiteConfig
from healthmon.probes.certificate import validity
from healthmon.reports.care import Expiry

#: A secret older than this should be made anew.
SECRET_LIFE_DAYS = 365
_SECRETS = {"token": "the site token", "ack-secret": "the key of links in pages"}


def own_dates(site: SiteConfig, now: float) -> tuple[Expiry, ...]:
    """Certificates of web and broker, and the age of secrets. What cannot be read is left to `doctor`."""
    return (*_certificates(site), *_secrets(site))


def _certificates(site: SiteConfig) -> Iterator[Expiry]:
    files = {"web-certificate": ("the board's certificate", site.web.tls_cert_file)}
    if site.listener is not None:
        files["broker-certificate"] = ("the broker's certificate", Path(site.listener.cert_file))
    for id_, (name, path) in files.items():
        if path is not None and (ends := _not_after(path)) is not None:
            yield Expiry(id_, name, "certificate", ends)


def _not_after(path: Path) -> date | None:
    """Of the first certificate in a PEM file."""
    try:
        text = path.read_text(encoding="ascii")
        first = text[: text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")]
        der = ssl.PEM_cert_to_DER_cert(first[first.index("-----BEGIN CERTIFICATE-----") :])
        found = validity(der)
    except (OSError, ValueError):
        return None
    return datetime.fromtimestamp(found.not_after, UTC).date()


def _secrets(site: SiteConfig) -> Iterator[Expiry]:
    for name, words in _SECRETS.items():
        path = site.web.token_file if name == "token" else site.data_dir / name
        try:
            made = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        except OSError:
            continue
        yield Expiry(name, words, "password", made + timedelta(days=SECRET_LIFE_DAYS))
