"""Through a forward proxy. What fails between us and the proxy is our blindness, not the target's fault."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from healthmon.model.ports import Sight
from healthmon.model.sample import Reason
from healthmon.probes.address import Url, parse_url
from healthmon.probes.connect import Streams, dial, hang_up, of_version, open_streams
from healthmon.probes.http_params import ClientParams
from healthmon.probes.http_wire import Wire, request_bytes
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding

#: Of the time left, so that a proxy that does not answer is told from a target that does not.
_DIAL_SHARE = 0.9


def proxy_for(params: ClientParams, url: Url) -> Url | None:
    """The proxy that leads to this address, or None for the straight way. Raises Finding(bad_params)."""
    written = params.proxy
    if written is None and params.proxy_from_environment:
        found = urllib.request.getproxies()
        written = found.get(url.scheme) or found.get("all")
        if urllib.request.proxy_bypass(url.host):
            return None
    if written is None or _spared(url.host, params.no_proxy):
        return None
    return parse_url(written)


async def connect(params: ClientParams, proxy: Url, url: Url, sight: Sight, phases: Phases, left_s: float) -> Streams:
    """Streams to the target through the proxy: a tunnel with TLS inside for https, else the proxy itself."""
    phases.enter("dns")
    await _vet(params, url, sight)
    reader, writer = await _reach(params, proxy, sight, phases, left_s)
    if url.scheme != "https":
        return reader, writer
    try:
        phases.enter("proxy")
        await _tunnel(params, url, reader, writer)
        phases.enter("tls")
        await writer.start_tls(params.trust().context(), server_hostname=params.server_name or url.host)
    except ConnectionResetError as error:
        hang_up(writer)
        if error.errno is not None:
            raise
        raise Finding(Reason.TLS_HANDSHAKE, "closed during the TLS handshake") from None
    except BaseException:
        hang_up(writer)
        raise
    return reader, writer


def authorization(params: ClientParams) -> dict[str, str]:
    """The headers that the proxy wants to see."""
    headers = dict(params.proxy_headers)
    if params.proxy_user is not None and params.proxy_password_file is not None:
        secret = Path(params.proxy_password_file).read_text().rstrip("\r\n")
        pair = base64.b64encode(f"{params.proxy_user}:{secret}".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {pair}"
    return headers


async def _vet(params: ClientParams, url: Url, sight: Sight) -> None:
    """The safety block holds for the target as well; a name that only the proxy knows passes if that was said."""
    try:
        await sight.resolve(url.host, url.port)
    except socket.gaierror:
        if not params.proxy_resolves:
            raise


async def _reach(params: ClientParams, proxy: Url, sight: Sight, phases: Phases, left_s: float) -> Streams:
    try:
        addresses = of_version(await sight.resolve(proxy.host, proxy.port), params.ip_version)
        phases.enter("connect")
        sock, address = await dial(addresses, left_s * _DIAL_SHARE, sight.clock)
        sight.trace(f"connected to the proxy {address.ip} port {address.port}")
        if proxy.scheme == "https":
            return await open_streams(sock, replace(params.trust(), alpn=()), proxy.host)
        return await open_streams(sock)
    except (OSError, Finding) as error:
        raise Finding(Reason.NO_ROUTE, f"the proxy cannot be reached: {_word(error)}") from None


async def _tunnel(params: ClientParams, url: Url, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """CONNECT (RFC 9110 section 9.3.6)."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    authority = f"{host}:{url.port}"
    writer.write(request_bytes("CONNECT", authority, {"Host": authority} | authorization(params), b""))
    head = await Wire(reader).head()
    if 200 <= head.status < 300:
        return
    if head.status == 407:
        raise Finding(Reason.NO_PERMISSION, "the proxy wants other credentials (407)")
    if head.status < 500:
        raise Finding(Reason.NO_PERMISSION, f"the proxy does not let us through ({head.status})")
    raise Finding(Reason.UNREACHABLE, f"the proxy could not connect ({head.status})")


def _spared(host: str, rules: Sequence[str]) -> bool:
    """`*`, a host, a domain with everything below it, an address or a network."""
    name = host.lower()
    address = None
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
    for rule in (entry.strip().lower().lstrip(".") for entry in rules):
        if rule == "*" or name == rule or (rule and name.endswith(f".{rule}")):
            return True
        with suppress(ValueError):
            if address is not None and address in ipaddress.ip_network(rule, strict=False):
                return True
    return False


def _word(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    return str(error) if isinstance(error, Finding) else (getattr(error, "strerror", None) or "connection lost").lower()
