"""A fresh connection to an admitted address, and TLS on top of it, as two steps that can be timed apart."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from healthmon.model.ports import Address, Clock
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
TLS_VERSIONS = tuple(_VERSIONS)


@dataclass(frozen=True, slots=True)
class Trust:
    """What a TLS connection demands of the peer, and what we show of ourselves."""

    ca_file: str | None = None
    verify: bool = True
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    alpn: tuple[str, ...] = ()
    max_version: str | None = None

    def context(self) -> ssl.SSLContext:
        """Made once for the same files at the same modification times. Raises OSError for files that cannot be read."""
        files = (self.ca_file, self.cert_file, self.key_file)
        return _context(self, tuple(os.stat(file).st_mtime_ns for file in files if file))


@lru_cache(maxsize=256)
def _context(trust: Trust, _changed_ns: tuple[int, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust.verify:
        _load_authorities(context, trust.ca_file)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():  # old versions are deprecated, and old devices speak nothing else
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[trust.min_version]
        if trust.max_version is not None:
            context.maximum_version = _VERSIONS[trust.max_version]
    if trust.min_version in ("1.0", "1.1"):
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 offers TLS 1.0 and 1.1 at level 0 only
    if trust.alpn:
        context.set_alpn_protocols(list(trust.alpn))
    if trust.cert_file:
        context.load_cert_chain(trust.cert_file, trust.key_file)
    return context


def _load_authorities(context: ssl.SSLContext, ca_file: str | None) -> None:
    if ca_file is None:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise Finding(Reason.BAD_PARAMS, f"{ca_file} holds no certificate") from None


def of_version(addresses: Sequence[Address], ip_version: int) -> list[Address]:
    """Only IPv4 or only IPv6; 0 = both. Raises Finding(dns) when none is left."""
    family = {0: None, 4: socket.AF_INET, 6: socket.AF_INET6}[ip_version]
    kept = [address for address in addresses if family in (None, address.family)]
    if not kept:
        raise Finding(Reason.DNS, f"the name has no IPv{ip_version} address")
    return kept


async def dial(addresses: Sequence[Address], limit_s: float, clock: Clock) -> tuple[socket.socket, Address]:
    """Connect to the first address that accepts; each gets its share of the time that is left."""
    standstill = clock.standstill
    end = standstill.turns_s() + limit_s
    for left in range(len(addresses), 0, -1):
        address = addresses[len(addresses) - left]
        try:
            async with within((end - standstill.turns_s()) / left, clock):
                return await _connected(address), address
        except OSError:
            if left == 1:
                raise
    raise Finding(Reason.DNS, "the name has no address")


async def _connected(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address.ip, address.port))
    except BaseException:
        sock.close()
        raise
    return sock


async def open_streams(sock: socket.socket, trust: Trust | None = None, server_name: str | None = None) -> Streams:
    """Streams over the socket; with `trust` the TLS handshake is done when it returns. Owns the socket."""
    try:
        if trust is None:
            return await asyncio.open_connection(sock=sock)
        return await asyncio.open_connection(sock=sock, ssl=trust.context(), server_hostname=server_name)
    except ConnectionResetError as error:
        if trust is None or error.errno is not None:
            raise
        # asyncio's word for an orderly end of the stream in the middle of a handshake
        raise Finding(Reason.TLS_HANDSHAKE, "closed during the TLS handshake") from None
    except BaseException:
        sock.close()
        raise


def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close without waiting for the peer: a rude one must not keep our descriptor."""
    with suppress(OSError, RuntimeError):
        writer.transport.abort()


def tls_object(writer: asyncio.StreamWriter) -> ssl.SSLObject | None:
    """The TLS side of a connection, if it has one."""
    found = writer.get_extra_info("ssl_object")
    return found if isinstance(found, ssl.SSLObject) else None
