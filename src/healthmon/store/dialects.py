"""How each line-protocol database is addressed: its write address, its login and the word for success."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_API = {1: "/write", 2: "/api/v2/write", 3: "/api/v3/write_lp"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """version 1, 2, 3 of InfluxDB, or None for anything else that takes line protocol; `name` is database or bucket."""

    version: int | None
    url: str
    name: str
    org: str = ""
    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.version not in (None, 1, 2, 3):
            raise ValueError(f"version {self.version} (allowed: 1, 2, 3)")
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError("the url must start with http:// or https://")

    @classmethod
    def of(
        cls,
        version: int | None,
        url: str,
        name: str,
        *,
        org: str = "",
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> Dialect:
        """A login inside the address (`http://user:password@host`) is taken out of it."""
        parts = urlsplit(url)
        if "@" in parts.netloc:
            login, _, place = parts.netloc.rpartition("@")
            user, _, secret = login.partition(":")
            url = parts._replace(netloc=place).geturl()
            username, password = username or unquote(user), password or unquote(secret)
        return cls(version, url, name, org, token, username, password)

    @property
    def at(self) -> str:
        """The address as messages show it: without its query, which may hold a token."""
        return urlsplit(self.write_url)._replace(query="").geturl()

    @property
    def reads(self) -> bool:
        """Whether it can be asked in InfluxQL."""
        return self.version is not None

    @property
    def root(self) -> str:
        """Where the database's own pages are; for a plain endpoint, its server without the path."""
        return self.url.rstrip("/") if self.reads else urlsplit(self.url)._replace(path="", query="").geturl()

    @property
    def write_url(self) -> str:
        """A plain endpoint is taken as given when it names a path."""
        if self.version is None:
            return self.url if urlsplit(self.url).path.strip("/") else f"{self.root}/write"
        return self.root + _API[self.version]

    @property
    def query_url(self) -> str:
        """InfluxQL: native in 1.x, through the bucket's mapping in 2.x, the compatible endpoint in 3.x."""
        return f"{self.root}/query"

    @property
    def write_params(self) -> dict[str, str]:
        match self.version:
            case 1:
                return {"db": self.name, "precision": "n"}
            case 2:
                return {"org": self.org, "bucket": self.name, "precision": "ns"}
            case 3:
                return {"db": self.name, "precision": "nanosecond"}
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """The login. A name and password go as Basic, which every version takes; tokens by the version's word."""
        if self.token:
            return {"Authorization": f"{'Token' if self.version in (1, 2) else 'Bearer'} {self.token}"}
        if self.username is not None:
            pair = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def stored(self, status: int) -> bool:
        """A database says 204; only an unknown endpoint may say 200, which is also how a login page answers."""
        return status == 204 or (self.version is None and status in (200, 202))
