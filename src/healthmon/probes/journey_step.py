"""One step of a journey: what is asked, what must come back, what is taken along."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

from healthmon.probes.http_expect import Patterns, Scalar, check_patterns, several, statuses_of
from healthmon.probes.http_json import check_json, parse_path
from healthmon.probes.http_params import check_headers

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_METHODS = ("GET", "HEAD", "POST")


@dataclass(frozen=True, slots=True)
class Extract:
    """Where a value stands in the answer: exactly one of json, field, header; regex alone or inside a header."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    json: str | None = None
    regex: str | None = None
    field: str | None = None
    header: str | None = None

    def __post_init__(self) -> None:
        ways = [name for name in ("json", "field", "header") if getattr(self, name) is not None]
        if (
            len(ways) > 1
            or (not ways and self.regex is None)
            or (self.regex is not None and ways not in ([], ["header"]))
        ):
            raise ValueError("extract: give json, regex, field, header, or header with regex")
        check_patterns(regex=self.regex)
        if self.json is not None:
            parse_path(self.json)


@dataclass(frozen=True, slots=True)
class Step:
    """`{name}` in path, form, headers, patterns and JSON values stands for a value. POST is for `login` steps only.

    hidden: send what the form of the page before sends unseen, and go where it leads unless there is a path;
    at_home: the answer must come from the target's own origin; lands_on: a pattern of its path.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    path: str = ""
    method: str = "GET"
    login: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    hidden: bool = False
    follow_redirects: bool = True
    statuses: tuple[int | str, ...] = ("2xx",)
    lands_on: str | None = None
    at_home: bool = False
    header_regex: dict[str, str] = field(default_factory=dict)
    body_regex: Patterns = None
    body_not_regex: Patterns = None
    json_path: dict[str, Scalar] = field(default_factory=dict)
    json_compare: dict[str, str] = field(default_factory=dict)
    extract: dict[str, Extract] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} (allowed: a-z, 0-9, - and _, at most 40)")
        if self.method not in _METHODS:
            raise ValueError(f"method: {self.method} (allowed: GET, HEAD, and POST to log in: journeys write nothing)")
        if self.method == "POST" and not self.login:
            raise ValueError("method: POST only in a step with `login: true`: journeys write nothing")
        if not self.path and not self.hidden:
            raise ValueError("path: is missing (only a step with `hidden: true` goes where the form leads)")
        check_headers(self.headers)
        statuses_of(self.statuses)
        check_patterns(
            lands_on=self.lands_on,
            body_regex=self.body_regex,
            body_not_regex=self.body_not_regex,
            **self.header_regex,
        )
        check_json(self.json_path, self.json_compare)
        for name in self.extract:
            if not _PLACE.fullmatch(f"{{{name}}}"):
                raise ValueError(f"extract: {name!r} is not a name (allowed: a-z, 0-9 and _)")

    def wants(self) -> set[str]:
        """The values that must be known before this step."""
        expected = [text for text in self.json_path.values() if isinstance(text, str)]
        texts = [self.path, *self.form, *self.form.values(), *self.headers.values(), *expected, *self.patterns()]
        return {name for text in texts for name in _PLACE.findall(text)}

    def patterns(self) -> list[str]:
        """Every regular expression that may hold values."""
        found = [*several(self.body_regex), *several(self.body_not_regex), *several(self.lands_on)]
        return found + [where.regex for where in self.extract.values() if where.regex is not None]

    @property
    def secret(self) -> bool:
        """Whether it sends the password."""
        texts = [self.path, *self.form.values(), *self.headers.values()]
        return any("{password}" in text for text in texts)


def filled(text: str, values: Mapping[str, str], *, quoted: bool = False) -> str:
    """The text with values in their places; `quoted` for a path, so that a value cannot lead elsewhere."""
    return _PLACE.sub(lambda m: quote(values[m[1]], safe="") if quoted else values[m[1]], text)


def pattern_of(text: str, values: Mapping[str, str]) -> str:
    """A value inside a pattern is plain text; a pattern that is nothing but one value is that value."""
    name = lone_place(text)
    return values[name] if name is not None else _PLACE.sub(lambda m: re.escape(values[m[1]]), text)


def lone_place(path: str) -> str | None:
    """The name when a path is nothing but one value: an address that was taken from an answer."""
    found = _PLACE.fullmatch(path)
    return found[1] if found else None
