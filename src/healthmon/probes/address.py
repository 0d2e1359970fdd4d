"""Where a check goes: host and port out of `host`, `host:port`, `[v6]:port` or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=20_000)
def host_port(address: str, default_port: int | None) -> tuple[str, int]:
    """The port written, or the default, or that of the URL's scheme. Raises Finding(bad_params) without one."""
    scheme, _, bare = address.rpartition("://")
    if bare.count(":") > 1 and not bare.startswith("["):
        bare = f"[{bare}]"  # an IPv6 address without a port
    try:
        parts = urlsplit(f"//{bare}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not port:
        port = _PORTS.get(scheme) if default_port is None else default_port
    if not host or port is None:
        raise Finding(Reason.BAD_PARAMS, f"no {'port' if host else 'host'} in the address")
    return host, port


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL in parts. `target` is what goes into the request line, query included."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @property
    def target(self) -> str:
        """Path and query as sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def authority(self) -> str:
        """The Host header: the port only when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """For people: never with the query, which may hold patient data."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def same_origin(self, other: Url) -> bool:
        """Whether credentials may go along."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)


@lru_cache(maxsize=20_000)
def parse_url(text: str, *, path: str = "") -> Url:
    """`path` is added to the URL's own path. Raises Finding(bad_params)."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        url = _url(parts, path)
    except ValueError:
        raise Finding(Reason.BAD_PARAMS, "the address is not a URL") from None
    return url


def redirected(url: Url, location: str) -> Url:
    """Where a Location header leads. Raises Finding(bad_response)."""
    try:
        return _url(urlsplit(urljoin(f"{url.scheme}://{url.authority}{url.target}", location)), "")
    except (ValueError, Finding):
        raise Finding(Reason.BAD_RESPONSE, "the redirect leads to something that is not http") from None


def _url(parts: SplitResult, path: str) -> Url:
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Finding(Reason.BAD_PARAMS, "the address must be http://HOST or https://HOST")
    if parts.username is not None:
        raise Finding(Reason.BAD_PARAMS, "credentials do not belong in an address: use user and password_file")
    more, _, query = path.partition("?")
    joined = parts.path.rstrip("/") + (more if more.startswith("/") else f"/{more}") if more else parts.path or "/"
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode("ascii")
    whole = Url(parts.scheme, host, parts.port or _PORTS[parts.scheme], joined, query or parts.query)
    if any(ord(char) <= 0x20 or ord(char) >= 0x7F for char in whole.target):
        raise ValueError("a request line is printable ASCII")
    return whole
