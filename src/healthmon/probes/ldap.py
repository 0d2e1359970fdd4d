"""LDAP: log in with a test account (or not at all), find a sentinel entry, log out; changes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes import ldap_wire as wire
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.credentials import AUTH_RETRY_S, Refusals, check_account
from healthmon.probes.dialogue import Dialogue, place_for
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_choice, check_network, check_range
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "ldap",
        frozenset(
            {"dns_seconds", "connect_seconds", "tls_seconds", "login_seconds", "search_seconds", "duration_seconds"}
            | {"entries", "result_code"}
        ),
    ),
    TLS_FAMILY,
)


@dataclass(frozen=True, slots=True)
class Params:
    """Without a user the login is anonymous; without a base the root entry is read, which every server shows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    tls: str = "none"
    user: str = ""
    password: str = field(default="", repr=False)
    clear_password: bool = False
    auth_retry_s: float = AUTH_RETRY_S
    base: str = ""
    scope: str = "base"
    filter: str = "(objectClass=*)"
    min_entries: int = 1
    max_entries: int = 10
    attribute_regex: Mapping[str, str] = field(default_factory=dict)
    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    min_version: str = "1.2"
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        check_choice("tls", self.tls, ("none", "starttls", "ldaps"))
        check_choice("scope", self.scope, tuple(wire.SCOPES))
        check_range("max_entries", self.max_entries, 1, 100)
        check_range("min_entries", self.min_entries, 0, self.max_entries)
        check_account(self.user, self.password, protected=self.tls != "none", clear_password=self.clear_password)
        check_patterns(**self.attribute_regex)
        wire.search_filter(self.filter)


class LdapProbe:
    """Bind and search. A refused login rests for `auth_retry_s` before it is tried again."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._refusals = Refusals()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with auth_failed, bad_status (the server's code), bad_body (the sentinel), ..."""
        params = self._settings.of(job)
        place = place_for(job, params, 636 if params.tls == "ldaps" else 389, tls=params.tls == "ldaps")
        visit = _Visit(job, params, self._refusals)
        return await Dialogue(job, sight, "ldap", place).hold(visit.talk)


class _Visit:
    """One run: number the messages, read the answers, judge them."""

    def __init__(self, job: Job, params: Params, refusals: Refusals) -> None:
        self._job = job
        self._params = params
        self._refusals = refusals
        self._number = 0

    async def talk(self, call: Dialogue) -> None:
        """StartTLS, login, search, logout."""
        if self._params.tls == "starttls":
            call.phases.enter("tls")
            self._expect(await self._ask(call, wire.start_tls(), wire.EXTENDED_DONE), call, "StartTLS")
            await call.start_tls()
        if self._params.user:
            await self._login(call)
        call.phases.enter("search")
        await self._search(call)
        await call.send(wire.message(self._number + 1, wire.unbind()))

    async def _login(self, call: Dialogue) -> None:
        user, password, clock = self._params.user, self._params.password, call.sight.clock
        call.phases.enter("login")
        self._refusals.check(self._job, user, password, rest_s=self._params.auth_retry_s, clock=clock)
        code = wire.result_code(await self._ask(call, wire.bind(user, password), wire.BOUND))
        if code == wire.INVALID_CREDENTIALS:
            self._refusals.refused(self._job, user, password, clock=clock)
        self._judge(code, call, "login")
        self._refusals.accepted(self._job, user, password)

    async def _search(self, call: Dialogue) -> None:
        params = self._params
        names = tuple(params.attribute_regex)
        limit_s = max(1, round(self._job.timeout_s))
        request = wire.search(params.base, params.scope, params.filter, names, most=params.max_entries, limit_s=limit_s)
        entries: list[wire.Answer] = []
        answer = await self._ask(call, request, wire.ENTRY, wire.REFERENCE, wire.DONE)
        while answer.operation != wire.DONE:
            if answer.operation == wire.ENTRY:
                entries.append(answer)
            if len(entries) > params.max_entries:
                raise Finding(Reason.TOO_LARGE, f"more than {params.max_entries} entries")
            answer = await self._answer(call, wire.ENTRY, wire.REFERENCE, wire.DONE)
        call.fields["entries"] = float(len(entries))
        code = wire.result_code(answer)
        if code != wire.SIZE_LIMIT:  # there are more than we wanted to read: they are there
            self._judge(code, call, "search")
        self._judge_entries(entries)

    def _judge_entries(self, entries: list[wire.Answer]) -> None:
        """Values are looked at and forgotten."""
        if len(entries) < self._params.min_entries:
            raise Finding(Reason.BAD_BODY, f"{len(entries)} entries found, expected {self._params.min_entries}")
        for name, pattern in self._params.attribute_regex.items():
            values = [value for entry in entries for value in wire.attributes_of(entry).get(name.lower(), [])]
            if not any(re.search(pattern, value.decode("utf-8", "replace")) for value in values):
                raise Finding(Reason.BAD_BODY, f"attribute {name} {'does not match' if values else 'is missing'}")

    def _expect(self, answer: wire.Answer, call: Dialogue, what: str) -> None:
        self._judge(wire.result_code(answer), call, what)

    def _judge(self, code: int, call: Dialogue, what: str) -> None:
        call.fields["result_code"] = float(code)
        if code == wire.SUCCESS:
            return
        text = f"{what}: {wire.RESULTS.get(code, 'result')} ({code})"
        if code in (wire.INVALID_CREDENTIALS, wire.NO_RIGHT):
            raise Finding(Reason.AUTH_FAILED, text)
        raise Finding(Reason.BAD_BODY if code == wire.NO_SUCH_ENTRY else Reason.BAD_STATUS, text)

    async def _ask(self, call: Dialogue, operation: bytes, *answers: int) -> wire.Answer:
        self._number += 1
        await call.send(wire.message(self._number, operation))
        return await self._answer(call, *answers)

    async def _answer(self, call: Dialogue, *wanted: int) -> wire.Answer:
        head = await call.exactly(2)
        while (size := wire.size_of(head)) is None:
            head += await call.exactly(1)
        answer = wire.parse(await call.exactly(size[1]))
        if answer.number == 0 and answer.operation == wire.EXTENDED_DONE:
            raise Finding(Reason.CLOSED, f"the server ends the connection ({wire.result_code(answer)})")
        if answer.number != self._number or answer.operation not in wanted:
            raise Finding(Reason.BAD_RESPONSE, "the answer is to another question")
        return answer
