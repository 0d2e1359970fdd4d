"""RADIUS: would the Wi-Fi let somebody in? Status-Server without an account, or one login of a test account."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Clock, Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes import radius_wire as wire
from healthmon.probes.credentials import AUTH_RETRY_S, Refusals
from healthmon.probes.datagram import Exchange, ask
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_choice, check_network, check_range
from healthmon.probes.reasons import Finding

FAMILIES = (Family("radius", frozenset({"dns_seconds", "answer_seconds", "duration_seconds", "code", "signed"})),)

_SAID = {wire.ACCESS_ACCEPT: "accept", wire.ACCESS_REJECT: "reject", wire.ACCESS_CHALLENGE: "challenge"}


@dataclass(frozen=True, slots=True)
class Params:
    """Without a user a Status-Server packet is sent. `expect: reject` takes an account that must be refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    secret: str = field(repr=False)
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    expect: str = "accept"
    nas_identifier: str = "healthmon"
    must_sign: bool = False
    auth_retry_s: float = AUTH_RETRY_S
    tries: int = 2
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version)
        check_choice("expect", self.expect, ("accept", "reject", "any"))
        check_range("tries", self.tries, 1, 3)
        check_range("length of nas_identifier", len(self.nas_identifier.encode()), 1, 253)
        check_range("length of user", len(self.user.encode()), 0, 253)
        check_range("length of password", len(self.password.encode()), 0, 128)
        if not self.secret:
            raise ValueError("secret: is empty")
        if self.user and not self.password:
            raise ValueError("user needs password")


class RadiusProbe:
    """One question. A refused account rests for `auth_retry_s` before it is tried again."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._refusals = Refusals()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with auth_failed (rejected, or another secret), bad_status (challenge), timeout, refused ..."""
        params = self._settings.of(job)
        exchange = Exchange(job, sight, "radius")

        async def put(addresses: Sequence[Address], left_s: float) -> None:
            if params.user and params.expect == "accept":
                self._refusals.check(job, params.user, params.password, rest_s=params.auth_retry_s, clock=sight.clock)
            answer = await Asked(params, sight.clock).put(addresses, left_s)
            exchange.phases.enter("")
            exchange.fields |= {"code": float(answer.code), "signed": answer.signed}
            sight.trace(f"{_SAID[answer.code]}, Message-Authenticator: {answer.signed}")
            self._judge(answer, params, job, sight)

        return await exchange.hold(params.port, 1812, params.ip_version, put)

    def _judge(self, answer: wire.Answer, params: Params, job: Job, sight: Sight) -> None:
        said = _SAID[answer.code]
        if params.must_sign and not answer.signed:
            raise Finding(Reason.BAD_RESPONSE, "the answer has no Message-Authenticator")
        if not params.user or params.expect == "any" or said == params.expect:
            self._refusals.accepted(job, params.user, params.password)
            return
        if said == "reject":
            self._refusals.refused(job, params.user, params.password, clock=sight.clock)
            raise Finding(Reason.AUTH_FAILED, "the server rejects the test account")
        raise Finding(Reason.BAD_STATUS, f"the server answers with {said}, expected {params.expect}")


def request_of(params: Params) -> wire.Request:
    """A fresh packet; a repeat sends the same one, so that the server knows it."""
    secret, number = params.secret.encode(), os.urandom(1)[0]
    if not params.user:
        return wire.status_server(number=number, authenticator=os.urandom(16), secret=secret, nas=params.nas_identifier)
    return wire.access_request(
        number=number,
        authenticator=os.urandom(16),
        secret=secret,
        user=params.user,
        password=params.password,
        nas=params.nas_identifier,
    )


class Asked:
    """One request under way. A forged answer, or a late one to who had our port before, is not the last word."""

    def __init__(self, params: Params, clock: Clock) -> None:
        self._params = params
        self._clock = clock
        self._request = request_of(params)
        self._forged = 0

    async def put(self, addresses: Sequence[Address], limit_s: float) -> wire.Answer:
        """The answer. Raises Finding(auth_failed) when only such came that are not made with our secret."""
        try:
            return await ask(
                addresses,
                lambda: self._request.data,
                self._accept,
                limit_s=limit_s,
                tries=self._params.tries,
                clock=self._clock,
            )
        except Finding:
            if not self._forged:
                raise
            raise Finding(Reason.AUTH_FAILED, "the answer is not made with our secret") from None

    def _accept(self, data: bytes) -> wire.Answer | None:
        try:
            return wire.parse(data, self._request, self._params.secret.encode())
        except wire.Forged:
            self._forged += 1
            return None
