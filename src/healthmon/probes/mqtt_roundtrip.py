"""MQTT: a message of ours goes to the broker and comes back (3.1.1, QoS 1, not retained, clean session)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.connect import Trust
from healthmon.probes.credentials import AUTH_RETRY_S, Refusals, check_account
from healthmon.probes.dialogue import Dialogue, place_of
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_network
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "mqtt",
        frozenset(
            {"dns_seconds", "connect_seconds", "tls_seconds", "login_seconds", "subscribe_seconds", "publish_seconds"}
            | {"return_seconds", "roundtrip_seconds", "duration_seconds"}
        ),
    ),
    TLS_FAMILY,
)

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _DISCONNECT = (
    0x10, 0x20, 0x30, 0x40, 0x82, 0x90, 0xE0,
)  # fmt: skip
_REFUSED = {
    1: "protocol version not supported",
    2: "client id rejected",
    3: "server unavailable",
    4: "user name or password refused",
    5: "not authorised",
}
_CREDENTIALS = (4, 5)


@dataclass(frozen=True, slots=True)
class Params:
    """`topic` is used with a random last level, so that two looks never meet; grant it to the test account."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    tls: bool = False
    topic: str = "healthmon-probe"
    user: str = ""
    password: str = field(default="", repr=False)
    clear_password: bool = False
    auth_retry_s: float = AUTH_RETRY_S
    verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    min_version: str = "1.2"
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        check_account(self.user, self.password, protected=self.tls, clear_password=self.clear_password)
        if not re.fullmatch(r"[^+#\0/$][^+#\0]{0,200}", self.topic):
            raise ValueError("topic: 1 to 201 characters without + # and not beginning with / or $")


class MqttProbe:
    """Connect, subscribe, publish, see it come back, disconnect."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._refusals = Refusals()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with auth_failed, bad_status (the broker's code), timeout (did not come back), ..."""
        params = self._settings.of(job)
        place = place_of(
            job,
            params.port,
            8883 if params.tls else 1883,
            ip_version=params.ip_version,
            trust=Trust(params.ca_file, params.verify, params.min_version, params.cert_file, params.key_file),
            tls=params.tls,
            server_name=params.server_name,
        )
        return await Dialogue(job, sight, "mqtt", place).hold(_Visit(job, params, self._refusals).talk)


class _Visit:
    def __init__(self, job: Job, params: Params, refusals: Refusals) -> None:
        self._job = job
        self._params = params
        self._refusals = refusals
        self._nonce = os.urandom(8).hex()
        self._topic = f"{params.topic.rstrip('/')}/{self._nonce}"

    async def talk(self, call: Dialogue) -> None:
        await self._login(call)
        call.phases.enter("subscribe")
        await call.send(packet(_SUBSCRIBE, b"\0\1" + text(self._topic) + b"\1"))
        granted = await self._wait(call, _SUBACK)
        if len(granted) != 3 or granted[:2] != b"\0\1":
            raise Finding(Reason.BAD_RESPONSE, "the broker answers another subscription")
        if granted[2] == 0x80:
            raise Finding(Reason.AUTH_FAILED, "the broker refuses the subscription")
        await self._publish(call)
        await call.send(packet(_DISCONNECT, b""))

    async def _login(self, call: Dialogue) -> None:
        user, password, clock = self._params.user, self._params.password, call.sight.clock
        call.phases.enter("login")
        if user:
            self._refusals.check(self._job, user, password, rest_s=self._params.auth_retry_s, clock=clock)
        await call.send(packet(_CONNECT, hello(f"healthmon-{self._nonce[:12]}", user, password, keep_alive_s=60)))
        answer = await self._wait(call, _CONNACK)
        if len(answer) != 2:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not MQTT")
        code = answer[1]
        if code in _CREDENTIALS:
            self._refusals.refused(self._job, user, password, clock=clock)
            raise Finding(Reason.AUTH_FAILED, _REFUSED[code])
        if code:
            raise Finding(Reason.BAD_STATUS, _REFUSED.get(code, f"code {code}"))
        self._refusals.accepted(self._job, user, password)

    async def _publish(self, call: Dialogue) -> None:
        """The acknowledgement and the message come in any order; the message is what counts."""
        call.phases.enter("publish")
        begun = call.sight.clock.mono()
        await call.send(packet(_PUBLISH | 0x02, text(self._topic) + b"\0\2" + self._nonce.encode()))
        back, acknowledged = False, False
        while not (back and acknowledged):
            if acknowledged:
                call.phases.enter("return")
            kind, content = await read_packet(call)
            if kind & 0xF0 == _PUBACK and content[:2] == b"\0\2":
                acknowledged = True
            elif kind & 0xF0 == _PUBLISH and self._is_ours(kind, content):
                back = True
                call.fields["roundtrip_seconds"] = call.sight.clock.mono() - begun
            elif kind & 0xF0 not in (_PUBACK, _PUBLISH):
                raise Finding(Reason.BAD_RESPONSE, "the broker says something unexpected")

    def _is_ours(self, kind: int, content: bytes) -> bool:
        """The topic and the payload that we sent (with a packet number in between at QoS 1)."""
        name = text(self._topic)
        return content.startswith(name) and content[len(name) + (2 if kind & 0x06 else 0) :] == self._nonce.encode()

    async def _wait(self, call: Dialogue, wanted: int) -> bytes:
        kind, content = await read_packet(call)
        if kind != wanted:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not MQTT")
        return content


def text(value: str) -> bytes:
    """A string with its length."""
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(kind: int, content: bytes) -> bytes:
    """A control packet; its length is written seven bits at a time."""
    size, head = len(content), bytes([kind])
    while True:
        size, low = divmod(size, 128)
        head += bytes([low | (0x80 if size else 0)])
        if not size:
            return head + content


def hello(client_id: str, user: str, password: str, *, keep_alive_s: int) -> bytes:
    """The content of CONNECT: a clean session without a will."""
    flags = 0x02 | (0xC0 if user else 0)
    body = text("MQTT") + bytes((4, flags)) + keep_alive_s.to_bytes(2, "big") + text(client_id)
    return body + (text(user) + text(password) if user else b"")


async def read_packet(call: Dialogue) -> tuple[int, bytes]:
    """First byte and content of the next packet. Raises Finding."""
    kind, size, shift = (await call.exactly(1))[0], 0, 0
    while True:
        byte = (await call.exactly(1))[0]
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return kind, await call.exactly(size)
        shift += 7
        if shift > 21:
            raise Finding(Reason.BAD_RESPONSE, "the answer is not MQTT")
