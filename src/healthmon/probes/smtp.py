"""SMTP: greeting, EHLO, STARTTLS, a login if wished, QUIT. No sender, no recipient, no mail."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.credentials import AUTH_RETRY_S, Refusals, check_account
from healthmon.probes.dialogue import Dialogue, place_for
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_choice, check_network
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "smtp",
        frozenset(
            {"dns_seconds", "connect_seconds", "tls_seconds", "banner_seconds", "hello_seconds", "login_seconds"}
            | {"duration_seconds", "status_code", "max_message_bytes"}
        ),
    ),
    TLS_FAMILY,
)

_REPLY = re.compile(rb"([2-5]\d\d)([ -])(.*)", re.DOTALL)
_MOST_LINES = 100
#: RFC 4954: the account is refused; 454 and 4xx are the server's own trouble.
_ACCOUNT_REFUSED = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class Params:
    """`extensions` must be offered (after STARTTLS where that is used), as in SIZE or 8BITMIME."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    tls: str = "none"
    hello_name: str = "healthmon.invalid"
    banner_regex: str | None = None
    extensions: tuple[str, ...] = ()
    user: str = ""
    password: str = field(default="", repr=False)
    clear_password: bool = False
    auth_retry_s: float = AUTH_RETRY_S
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    min_version: str = "1.2"
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        check_choice("tls", self.tls, ("none", "starttls", "smtps"))
        check_account(self.user, self.password, protected=self.tls != "none", clear_password=self.clear_password)
        check_patterns(banner_regex=self.banner_regex)
        if not re.fullmatch(r"[A-Za-z0-9.:\[\]-]{1,255}", self.hello_name):
            raise ValueError("hello_name: must be a host name or an address in square brackets")


class SmtpProbe:
    """One visit without a letter. A refused login rests for `auth_retry_s` before it is tried again."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._refusals = Refusals()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_status (the server's code), auth_failed, bad_body (banner, extension), ..."""
        params = self._settings.of(job)
        place = place_for(job, params, 465 if params.tls == "smtps" else 25, tls=params.tls == "smtps")
        return await Dialogue(job, sight, "smtp", place).hold(_Visit(job, params, self._refusals).talk)


class _Visit:
    def __init__(self, job: Job, params: Params, refusals: Refusals) -> None:
        self._job = job
        self._params = params
        self._refusals = refusals

    async def talk(self, call: Dialogue) -> None:
        params = self._params
        call.phases.enter("banner")
        _, banner = await reply(call, 220)
        if params.banner_regex is not None and not re.search(params.banner_regex, banner[0]):
            raise Finding(Reason.BAD_BODY, "the banner does not match")
        offers = await self._hello(call)
        if params.tls == "starttls":
            if "STARTTLS" not in offers:
                raise Finding(Reason.TLS_HANDSHAKE, "STARTTLS is not offered")
            await say(call, "STARTTLS", 220)
            await call.start_tls()
            offers = await self._hello(call)
        self._judge(offers, call)
        if params.user:
            call.phases.enter("login")
            await self._login(call, offers)
        await call.send(b"QUIT\r\n")

    async def _hello(self, call: Dialogue) -> dict[str, str]:
        call.phases.enter("hello")
        _, lines = await say(call, f"EHLO {self._params.hello_name}", 250)
        words = (line.partition(" ") for line in lines[1:])
        return {name.upper(): more for name, _, more in words}

    def _judge(self, offers: dict[str, str], call: Dialogue) -> None:
        if offers.get("SIZE", "").isascii() and offers.get("SIZE", "").isdigit():
            call.fields["max_message_bytes"] = float(offers["SIZE"][:18])
        missing = [name for name in self._params.extensions if name.upper() not in offers]
        if missing:
            raise Finding(Reason.BAD_BODY, f"not offered: {', '.join(missing)}")

    async def _login(self, call: Dialogue, offers: dict[str, str]) -> None:
        user, password, clock = self._params.user, self._params.password, call.sight.clock
        self._refusals.check(self._job, user, password, rest_s=self._params.auth_retry_s, clock=clock)
        try:
            if "PLAIN" in offers.get("AUTH", "").upper().split():
                await say(call, "AUTH PLAIN " + _encoded(f"\0{user}\0{password}"), 235)
            elif "LOGIN" in offers.get("AUTH", "").upper().split():
                await say(call, "AUTH LOGIN", 334)
                await say(call, _encoded(user), 334, shown="(user)")
                await say(call, _encoded(password), 235, shown="(password)")
            else:
                raise Finding(Reason.AUTH_FAILED, "neither AUTH PLAIN nor AUTH LOGIN is offered")
        except Finding as finding:
            if call.fields.get("status_code") in _ACCOUNT_REFUSED:
                self._refusals.refused(self._job, user, password, clock=clock)
                raise Finding(Reason.AUTH_FAILED, finding.fault.detail) from None
            raise
        self._refusals.accepted(self._job, user, password)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def say(call: Dialogue, command: str, wanted: int, *, shown: str = "") -> tuple[int, list[str]]:
    """A command and its reply; the transcript gets `shown`, or the first word."""
    call.sight.trace(f"> {shown or command.partition(' ')[0]}")
    await call.send(f"{command}\r\n".encode())
    return await reply(call, wanted)


async def reply(call: Dialogue, wanted: int) -> tuple[int, list[str]]:
    """Code and texts of a reply. Raises Finding: bad_status for another code, bad_response for what is no reply."""
    texts: list[str] = []
    while len(texts) < _MOST_LINES:
        found = _REPLY.fullmatch(await call.line())
        if not found:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not SMTP")
        texts.append(found[3].decode("utf-8", "replace"))
        if found[2] == b" ":
            code = int(found[1])
            call.fields["status_code"] = float(code)
            call.sight.trace(f"< {code}")
            if code != wanted:
                raise Finding(Reason.BAD_STATUS, f"{code} where {wanted} was expected")
            return code, texts
    raise Finding(Reason.BAD_RESPONSE, "a reply without an end")
