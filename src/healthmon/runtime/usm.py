"""SNMPv3 user security (RFC 3414): algorithms by our names as pysnmp calls them, and its words of refusal."""

from __future__ import annotations

#: Our names -> pysnmp's. AES-192 and AES-256 extend short keys as Blumenthal's draft says, like gufo-snmp and net-snmp.
AUTH_PROTOCOLS = {
    "MD5": "USM_AUTH_HMAC96_MD5",
    "SHA": "USM_AUTH_HMAC96_SHA",
    "SHA-224": "USM_AUTH_HMAC128_SHA224",
    "SHA-256": "USM_AUTH_HMAC192_SHA256",
    "SHA-384": "USM_AUTH_HMAC256_SHA384",
    "SHA-512": "USM_AUTH_HMAC384_SHA512",
}
PRIV_PROTOCOLS = {
    "DES": "USM_PRIV_CBC56_DES",
    "AES": "USM_PRIV_CFB128_AES",
    "AES-192": "USM_PRIV_CFB192_AES_BLUMENTHAL",
    "AES-256": "USM_PRIV_CFB256_AES_BLUMENTHAL",
    "3DES": "USM_PRIV_CBC168_3DES",
    "AES-192-C": "USM_PRIV_CFB192_AES",
    "AES-256-C": "USM_PRIV_CFB256_AES",
}

#: pysnmp's error indications (class names) that mean the agent refuses us.
REFUSALS = frozenset(
    {
        "AuthenticationError",
        "AuthenticationFailure",
        "DecryptionError",
        "UnknownSecurityName",
        "UnknownUserName",
        "UnsupportedSecurityLevel",
        "WrongDigest",
    }
)
