"""What every HTTP client of ours can be told: trust, credentials, proxy, limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.probes.connect import TLS_VERSIONS, Trust

COMPRESSIONS = ("identity", "gzip", "deflate")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class ClientParams:
    """How to connect and who we are. One kind of credentials at a time; secrets stand in files."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    headers: dict[str, str] = field(default_factory=dict)
    max_body_bytes: int = 1024 * 1024
    max_redirects: int = 5
    compression: str = "identity"
    details: bool = False
    verify: bool = True
    ca_file: str | None = None
    min_version: str = "1.2"
    max_version: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    host: str | None = None
    user: str | None = None
    password_file: str | None = None
    bearer_file: str | None = None
    oauth_token_url: str | None = None
    oauth_client_id: str | None = None
    oauth_client_secret_file: str | None = None
    oauth_client_auth: str = "header"
    oauth_scopes: tuple[str, ...] = ()
    oauth_params: dict[str, str] = field(default_factory=dict)
    proxy: str | None = None
    proxy_user: str | None = None
    proxy_password_file: str | None = None
    proxy_headers: dict[str, str] = field(default_factory=dict)
    proxy_from_environment: bool = False
    proxy_resolves: bool = False
    no_proxy: tuple[str, ...] = ()
    ip_version: int = 0

    def __post_init__(self) -> None:
        _one_of("min_version", self.min_version, TLS_VERSIONS)
        if self.max_version is not None:
            _one_of("max_version", self.max_version, TLS_VERSIONS)
            if self.max_version < self.min_version:
                raise ValueError(f"max_version: {self.max_version} is below min_version {self.min_version}")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")
        if not 0 <= self.max_redirects <= 20:
            raise ValueError(f"max_redirects: {self.max_redirects} (allowed: 0 to 20)")
        if not 0 < self.max_body_bytes <= 64 * 1024 * 1024:
            raise ValueError(f"max_body_bytes: {self.max_body_bytes} (allowed: 1 to 67108864)")
        _one_of("compression", self.compression, COMPRESSIONS)
        check_headers(self.headers | ({"Host": self.host} if self.host is not None else {}))
        check_headers(self.proxy_headers)
        self._check_credentials()

    def _check_credentials(self) -> None:
        _one_of("oauth_client_auth", self.oauth_client_auth, ("header", "form"))
        _together(user=self.user, password_file=self.password_file)
        _together(proxy_user=self.proxy_user, proxy_password_file=self.proxy_password_file)
        _together(
            oauth_token_url=self.oauth_token_url,
            oauth_client_id=self.oauth_client_id,
            oauth_client_secret_file=self.oauth_client_secret_file,
        )
        ways = [name for name in ("user", "bearer_file", "oauth_token_url") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError(f"give only one of {', '.join(ways)}")
        for name in ("proxy", "oauth_token_url"):
            url = getattr(self, name)
            if url is not None and not re.match(r"https?://[^/@]+(/|$)", url):
                raise ValueError(f"{name}: must be http://HOST or https://HOST, without credentials")

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(
            self.ca_file,
            self.verify,
            self.min_version,
            self.cert_file,
            self.key_file,
            ("http/1.1",),
            max_version=self.max_version,
        )


def check_headers(headers: dict[str, str]) -> None:
    """Raises ValueError for what would break out of its line."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or any(char in value for char in "\r\n\0"):
            raise ValueError(f"headers: {name!r} is not a header (allowed: a token, and a value on one line)")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}: {value} (allowed: {', '.join(allowed)})")


def _together(**values: str | None) -> None:
    if len({value is None for value in values.values()}) > 1:
        *first, last = values
        raise ValueError(f"{', '.join(first)} and {last} go together")
