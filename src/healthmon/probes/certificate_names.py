"""Whose certificate it is: subject, issuer, names, serial number and fingerprint out of its DER."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from healthmon.model.sample import Reason
from healthmon.probes.certificate import element
from healthmon.probes.reasons import Finding

_EXPLICIT_VERSION, _EXTENSIONS, _DNS_NAME = 0xA0, 0xA3, 0x82
_ALTERNATIVES = bytes((0x55, 0x1D, 0x11))
#: RFC 4514 section 3; other attributes are shown by their number.
_KEYWORDS = {
    "2.5.4.3": "CN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.17": "POSTALCODE",
}
_UTF16, _UTF32 = 0x1E, 0x1C


def described(der: bytes) -> dict[str, str]:
    """`subject`, `issuer`, `alternatives` (DNS names), `serial`, `fingerprint_sha256`. Raises Finding(bad_response)."""
    try:
        _, certificate, _ = element(der, 0)
        _, tbs, _ = element(certificate, 0)
        parts = list(_parts(tbs))
        if parts[0][0] == _EXPLICIT_VERSION:
            parts.pop(0)
        extensions = next((content for tag, content in parts if tag == _EXTENSIONS), b"")
        return {
            "subject": _name(parts[4][1]),
            "issuer": _name(parts[2][1]),
            "alternatives": ",".join(_dns_names(extensions)),
            "serial": f"{int.from_bytes(parts[0][1], 'big'):x}",
            "fingerprint_sha256": hashlib.sha256(der).hexdigest(),
        }
    except (IndexError, ValueError):
        raise Finding(Reason.BAD_RESPONSE, "the certificate cannot be read") from None


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        tag, inner, at = element(content, at)
        yield tag, inner


def _name(content: bytes) -> str:
    """RFC 4514: the last part first."""
    parts = ["+".join(_attribute(pair) for _, pair in _parts(group)) for _, group in _parts(content)]
    return ",".join(reversed(parts))


def _attribute(content: bytes) -> str:
    (_, kind), (tag, value) = _parts(content)
    number = _number(kind)
    encoding = {_UTF16: "utf-16-be", _UTF32: "utf-32-be"}.get(tag, "utf-8")
    text = value.decode(encoding, "replace")
    escaped = "".join(f"\\{char}" if char in ',+"\\<>;' else char for char in text)
    if escaped[:1] in (" ", "#"):
        escaped = f"\\{escaped}"
    return f"{_KEYWORDS.get(number, number)}={escaped}"


def _number(content: bytes) -> str:
    """An object identifier with dots."""
    numbers, value = [content[0] // 40, content[0] % 40], 0
    for byte in content[1:]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    return ".".join(map(str, numbers))


def _dns_names(extensions: bytes) -> list[str]:
    if not extensions:
        return []
    _, listed, _ = element(extensions, 0)
    for _, extension in _parts(listed):
        parts = list(_parts(extension))
        if parts[0][1] == _ALTERNATIVES:
            _, names, _ = element(parts[-1][1], 0)
            return [value.decode("ascii", "replace") for tag, value in _parts(names) if tag == _DNS_NAME]
    return []
