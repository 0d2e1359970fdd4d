"""The walk of one journey: where it stands, what it knows, what it has seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from urllib.parse import urlencode, urljoin

from healthmon.model.ports import Sight
from healthmon.model.sample import Reason, Sample
from healthmon.probes.address import Url, parse_url
from healthmon.probes.http_client import Client, Request
from healthmon.probes.http_expect import Patterns, judge_body, judge_headers, several, statuses_of, text_of
from healthmon.probes.http_json import decode, find, parse_path
from healthmon.probes.http_wire import Head
from healthmon.probes.journey_step import Extract, Step, filled, lone_place, pattern_of
from healthmon.probes.reasons import Fault, Finding

_MOST_VALUE_CHARS = 8192
_FORM_TYPE = "application/x-www-form-urlencoded"


class Walk:
    """Takes one step after the other. Nothing of an answer leaves it but timings and a verdict."""

    def __init__(
        self, client: Client, base: str, home: Url, values: dict[str, str], login_at: Sequence[str], sight: Sight
    ) -> None:
        self.client = client
        self.samples: list[Sample] = []
        self.passed: list[str] = []
        self.failed = ""
        self.answered = False
        self.login_refused = False
        self.login_accepted = False
        self._base = base
        self._origins = [home, *(parse_url(origin) for origin in login_at)]
        self._values = values
        self._taken: set[str] = set()
        self._sight = sight
        self._at = home
        self._page = ""

    def knows(self, step: Step) -> bool:
        """Whether every value that the step wants is there."""
        return step.wants() <= self._values.keys()

    async def take(self, step: Step) -> Fault | None:
        """Ask, judge, take values along. Raises OSError, Finding, Forbidden."""
        self.client.next_step()
        self._sight.trace(f"step {step.name}")
        request = self._request(step)
        head, body = await self.client.ask(request)
        self.answered = True
        self._at = self.client.url or request.url
        self._page = text_of(head, body)
        fault = self._judge(step, head, body)
        if fault is not None:
            return self._login_fault(step, head, fault)
        self.login_accepted |= step.secret
        self._extract(step, head, body)
        return None

    # asking

    def _request(self, step: Step) -> Request:
        fields = {filled(name, self._values): filled(text, self._values) for name, text in step.form.items()}
        url = self._url(step)
        if step.hidden:
            fields, url = self._as_the_form_says(step, fields, url)
        if step.secret and not any(url.same_origin(origin) for origin in self._origins):
            where = f"{url.scheme}://{url.authority}"
            raise Finding(Reason.NOT_ALLOWED, f"the password would go to {where}, which login_at does not name")
        headers = {name: _one_line(filled(text, self._values)) for name, text in step.headers.items()}
        body = b""
        if fields and step.method == "POST":
            body = urlencode(fields).encode()
            headers.setdefault("Content-Type", _FORM_TYPE)
        elif fields:
            url = Url(url.scheme, url.host, url.port, url.path, "&".join(filter(None, (url.query, urlencode(fields)))))
        headers = {**self.client.params.headers, **headers}
        return Request(step.method, url, headers, body, follow=step.follow_redirects)

    def _url(self, step: Step) -> Url:
        """Below the target's address; one that was taken from an answer is read from where the walk stands."""
        name = lone_place(step.path)
        if name in self._taken:
            return self._joined(self._values[str(name)])
        if not step.path:
            return self._at
        if name is not None:
            return parse_url(self._base, path=self._values[name])
        return parse_url(self._base, path=filled(step.path, self._values, quoted=True))

    def _joined(self, address: str) -> Url:
        here = f"{self._at.scheme}://{self._at.authority}{self._at.target}"
        try:
            return parse_url(urljoin(here, address.strip()))
        except (ValueError, Finding):
            raise Finding(Reason.BAD_RESPONSE, "the page leads to something that is not http") from None

    def _as_the_form_says(self, step: Step, fields: dict[str, str], url: Url) -> tuple[dict[str, str], Url]:
        from healthmon.probes.journey_forms import form_for

        form = form_for(self._page, fields)
        if form is None:
            raise Finding(Reason.BAD_BODY, "the page before has no form")
        return {**form.unseen(), **fields}, url if step.path else self._joined(form.action)

    # judging

    def _judge(self, step: Step, head: Head, body: bytes) -> Fault | None:
        if not statuses_of(step.statuses)(head.status):
            return Fault(Reason.BAD_STATUS, str(head.status))
        if step.at_home and not self._at.same_origin(self._origins[0]):
            return Fault(Reason.BAD_RESPONSE, "ended at another origin")
        if not all(re.search(pattern, self._at.path) for pattern in self._patterns(step.lands_on)):
            return Fault(Reason.BAD_RESPONSE, "ended on another page")
        expected = {
            path: filled(value, self._values) if isinstance(value, str) else value
            for path, value in step.json_path.items()
        }
        return judge_headers(head, step.header_regex) or judge_body(
            head,
            body,
            regex=self._patterns(step.body_regex),
            not_regex=self._patterns(step.body_not_regex),
            json_path=expected,
            json_compare=step.json_compare,
        )

    def _patterns(self, patterns: Patterns) -> tuple[str, ...]:
        return tuple(pattern_of(pattern, self._values) for pattern in several(patterns))

    def _login_fault(self, step: Step, head: Head, fault: Fault) -> Fault:
        """A server that works and does not let us in has refused the account."""
        if not step.secret or head.status >= 500 or head.status in (404, 429):
            return fault
        self.login_refused = True
        return Fault(Reason.AUTH_FAILED, f"the login was not accepted ({fault.detail})")

    # taking along

    def _extract(self, step: Step, head: Head, body: bytes) -> None:
        for name, where in step.extract.items():
            pattern = None if where.regex is None else pattern_of(where.regex, self._values)
            value = _found(where, pattern, head, body, self._page)
            if value is None:
                raise Finding(Reason.BAD_BODY, f"{name} is not in the answer")
            if len(value) > _MOST_VALUE_CHARS:
                raise Finding(Reason.BAD_BODY, f"{name} is longer than {_MOST_VALUE_CHARS} characters")
            self._values[name] = value
            self._taken.add(name)


def _found(where: Extract, pattern: str | None, head: Head, body: bytes, page: str) -> str | None:
    if where.json is not None:
        return _json_value(where.json, body)
    if where.field is not None:
        from healthmon.probes.journey_forms import field_of

        return field_of(page, where.field)
    text = page if where.header is None else head.headers.get(where.header.lower())
    if pattern is None or text is None:
        return text
    match = re.search(pattern, text)
    if match is None:
        return None
    value = match[1 if match.re.groups else 0]
    return value if where.header is not None or value is None else unescape(value)


def _json_value(path: str, body: bytes) -> str | None:
    try:
        found = find(decode(body), parse_path(path))
    except ValueError as error:
        raise Finding(Reason.BAD_BODY, str(error)) from None
    if not found or isinstance(found[0], dict | list) or found[0] is None:
        return None
    return str(found[0])


def _one_line(text: str) -> str:
    if any(char in text for char in "\r\n\0"):
        raise Finding(Reason.BAD_RESPONSE, "a value taken from an answer is no header")
    return text
