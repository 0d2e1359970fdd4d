"""A test authority and the certificates, good and bad, that servers in tests show."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography (test extra)")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM files of a certificate and its key; dates in Unix seconds."""

    cert_file: Path
    key_file: Path
    not_before: float
    not_after: float


class Authority:
    """A certificate authority in a folder; `ca_file` is what a client must trust."""

    def __init__(
        self,
        folder: Path,
        name: str = "healthmon test authority",
        *,
        above: Authority | None = None,
        ends_days: float = 3650.0,
    ) -> None:
        """With one `above` it is an intermediate, whose certificate goes along with what it issues."""
        self.folder = folder
        self.ca_file = folder / ("ca.pem" if above is None else "intermediate.pem")
        self._above = above
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        now = datetime.now(UTC)
        issuer, signer = (self._name, self._key) if above is None else (above._name, above._key)
        self._certificate = (
            _builder(
                self._name, issuer, self._key.public_key(), now - timedelta(days=1), now + timedelta(days=ends_days)
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=1 if above is None else 0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(signer, hashes.SHA256())
        )
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        stem: str,
        *,
        names: Sequence[str] = ("localhost", "127.0.0.1", "::1"),
        starts_days: float = -1.0,
        ends_days: float = 90.0,
        self_signed: bool = False,
    ) -> Issued:
        """A server certificate valid from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(names[0])
        now = datetime.now(UTC).replace(microsecond=0)
        starts, ends = now + timedelta(days=starts_days), now + timedelta(days=ends_days)
        issuer, signer = (subject, key) if self_signed else (self._name, self._key)
        certificate = (
            _builder(subject, issuer, key.public_key(), starts, ends)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(signer, hashes.SHA256())
        )
        issued = Issued(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", starts.timestamp(), ends.timestamp())
        shown = [certificate] if self._above is None else [certificate, self._certificate]
        issued.cert_file.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in shown))
        issued.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued


def der(pem_file: Path) -> bytes:
    """The first certificate of a PEM file as DER."""
    return x509.load_pem_x509_certificate(pem_file.read_bytes()).public_bytes(serialization.Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, starts: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
