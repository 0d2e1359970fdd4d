"""A channel to an SMS or voice gateway over HTTP, described by a template: any provider with a web interface."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from healthmon.alerting.notify.httpcalls import (
    Answered,
    HttpCalls,
    checked_headers,
    checked_timeout,
    checked_url,
)
from healthmon.alerting.notify.shorttext import short_text
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent

#: What a template may name.
NAMES = ("to", "text", "key", "subject", "incident", "severity", "long_text")


@dataclass(frozen=True, slots=True)
class Params:
    """url and body hold `{to}`, `{text}` (one SMS), `{long_text}`, `{key}`, `{subject}`, `{incident}`, `{severity}`.

    body: a mapping, sent as `form` or `json`. success: what the JSON of a good answer must hold (`{status: accepted}`);
    without it the HTTP status decides. refused: what an answer holds that will never do (`{error: bad_number}`).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str = field(repr=False)
    body: dict[str, Any] = field(default_factory=lambda: {"to": "{to}", "text": "{text}", "ref": "{key}"})
    encode: Literal["json", "form"] = "json"
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    success: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        checked_url(self.url)
        checked_timeout(self.timeout_s)
        checked_headers(self.headers)
        for text in (self.url, *_texts(self.body)):
            _check(text)


class Gateway:
    """One request a message. `Idempotency-Key` goes along; most gateways also take the key as a reference."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._calls = HttpCalls(timeout_s=params.timeout_s, ca_file=params.ca_file)

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """One message to `to`."""
        params, words = self._params, _words(notice)
        url = params.url.format(**{name: quote(word, safe="") for name, word in words.items()})
        filled = _filled(params.body, words)
        kind = "application/json" if params.encode == "json" else "application/x-www-form-urlencoded"
        headers = {**params.headers, "Idempotency-Key": notice.key, "Content-Type": kind}
        if params.token is not None:
            headers["Authorization"] = f"Bearer {params.token}"
        body = json.dumps(filled) if params.encode == "json" else urlencode(filled)
        raw = None if params.method == "GET" else body.encode()
        return self._judged(await self._calls.call(params.method, url, body=raw, headers=headers, read=True))

    def preview(self, notice: Notice) -> str:
        """The filled body; where the template names `{text}` alone, just that. The URL may hold a secret and stays."""
        words = _words(notice)
        if any("{long_text}" in text for text in _texts(self._params.body)):
            return json.dumps(_filled(self._params.body, words), ensure_ascii=False)
        return words["text"]

    async def close(self) -> None:
        """End the kept connection."""
        await self._calls.close()

    def _judged(self, answered: Answered) -> Sent | Retry | Dead:
        """A gateway may say no with 200: `success` and `refused` read what it says."""
        if _holds(answered.json, self._params.refused):
            return Dead("the gateway refuses it")
        if not isinstance(answered.result, Sent) or not self._params.success:
            return answered.result
        return answered.result if _holds(answered.json, self._params.success) else Retry("not what success looks like")


def _holds(said: Any, wanted: Mapping[str, str]) -> bool:
    """Whether the JSON has each of these; a dotted name leads down (`messages.0.status`)."""
    return bool(wanted) and all(str(_at(said, name)).casefold() == value.casefold() for name, value in wanted.items())


def _at(said: Any, name: str) -> Any:
    for step in name.split("."):
        if isinstance(said, list) and step.isdigit() and int(step) < len(said):
            said = said[int(step)]
        else:
            said = said.get(step) if isinstance(said, dict) else None
    return said


def _words(notice: Notice) -> dict[str, str]:
    return {
        "to": notice.to,
        "text": short_text(notice),
        "long_text": notice.text,
        "key": notice.key,
        "subject": notice.subject,
        "incident": notice.incident,
        "severity": str(notice.severity),
    }


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**words)
    if isinstance(value, dict):
        return {name: _filled(one, words) for name, one in value.items()}
    return [_filled(one, words) for one in value] if isinstance(value, list) else value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]


def _check(text: str) -> None:
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"template: {error}") from None
    for name in names:
        if name not in NAMES:
            raise ValueError(f"template: unknown {{{name}}} (allowed: {', '.join(NAMES)})")
