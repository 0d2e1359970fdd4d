"""SMB: which dialect a file server agrees to, whether it signs and encrypts, and what its clock says. No login."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Value
from healthmon.probes.dialogue import Dialogue, place_of
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_choice, check_network
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "smb",
        frozenset(
            {"dns_seconds", "connect_seconds", "answer_seconds", "duration_seconds", "dialect", "signing_required"}
            | {"encryption", "clock_offset_seconds"}
        ),
    ),
)

DIALECTS = {"2.0.2": 0x0202, "2.1": 0x0210, "3.0": 0x0300, "3.0.2": 0x0302, "3.1.1": 0x0311}
_NAMES = {number: name for name, number in DIALECTS.items()}
#: MS-SMB2 2.2.1.2, 2.2.3 and 2.2.4, little-endian.
_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_REQUEST = struct.Struct("<HHHHI16sIHH")
_ANSWER = struct.Struct("<HHHH16sIIIIQQHHI")
_CONTEXT = struct.Struct("<HHI")
_SIGNING_REQUIRED, _CAN_ENCRYPT = 0x02, 0x40
_PREAUTH, _ENCRYPTION = 1, 2
#: 100-nanosecond steps since 1601, and the seconds from then to 1970.
_STEPS_HZ, _TO_UNIX_S = 10_000_000, 11_644_473_600


@dataclass(frozen=True, slots=True)
class Params:
    """The oldest dialect that is good enough, and what the server must insist on."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    min_dialect: str = "2.0.2"
    require_signing: bool = False
    require_encryption: bool = False
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version)
        check_choice("min_dialect", self.min_dialect, tuple(DIALECTS))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server agrees to. `time` is its clock in Unix seconds, None when it does not tell."""

    dialect: int
    signing_required: bool
    encryption: bool
    time: float | None


class SmbProbe:
    """One NEGOTIATE; no session is set up."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_body (dialect, signing), bad_status, bad_response (not SMB 2), refused, timeout ..."""
        params = self._settings.of(job)
        place = place_of(job, params.port, 445, ip_version=params.ip_version)

        async def talk(call: Dialogue) -> None:
            call.phases.enter("answer")
            asked = call.sight.clock.now()
            await call.send(request())
            answer = parse(await _message(call))
            call.fields |= measured(answer, (asked + call.sight.clock.now()) / 2.0)
            judge(answer, params)

        return await Dialogue(job, sight, "smb", place).hold(talk)


def request() -> bytes:
    """NEGOTIATE with every dialect from 2.0.2, in its frame."""
    head = _HEADER.pack(b"\xfeSMB", 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, b"\0" * 16)
    dialects = b"".join(number.to_bytes(2, "little") for number in DIALECTS.values())
    start = _HEADER.size + _REQUEST.size + len(dialects)
    padding = b"\0" * (-start % 8)
    hashes = struct.pack("<HHH", 1, 32, 1) + os.urandom(32)  # SHA-512 and a salt
    ciphers = struct.pack("<HHHHH", 4, 2, 1, 4, 3)  # AES-128-GCM, AES-128-CCM, AES-256-GCM, AES-256-CCM
    preauth = _CONTEXT.pack(_PREAUTH, len(hashes), 0) + hashes
    contexts = preauth + b"\0" * (-len(preauth) % 8) + _CONTEXT.pack(_ENCRYPTION, len(ciphers), 0) + ciphers
    body = _REQUEST.pack(36, len(DIALECTS), 1, 0, _CAN_ENCRYPT, os.urandom(16), start + len(padding), 2, 0)
    data = head + body + dialects + padding + contexts
    return len(data).to_bytes(4, "big") + data


async def _message(call: Dialogue) -> bytes:
    """One message out of its frame (a zero and a length of three bytes)."""
    frame = await call.exactly(4)
    if frame[0] != 0:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not SMB")
    return await call.exactly(int.from_bytes(frame[1:], "big"))


def parse(data: bytes) -> Answer:
    """The answer to NEGOTIATE. Raises Finding(bad_response, bad_status)."""
    if data[:4] == b"\xffSMB":
        raise Finding(Reason.BAD_RESPONSE, "the server speaks SMB 1 only")
    if len(data) < _HEADER.size or data[:4] != b"\xfeSMB":
        raise Finding(Reason.BAD_RESPONSE, "the answer is not SMB")
    status, command = struct.unpack_from("<IH", data, 8)
    if status:
        raise Finding(Reason.BAD_STATUS, f"the server says 0x{status:08X}")
    if command != 0 or len(data) < _HEADER.size + _ANSWER.size:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not to NEGOTIATE")
    size, security, dialect, contexts, _, able, _, _, _, clock, _, _, _, at = _ANSWER.unpack_from(data, _HEADER.size)
    if size != 65 or dialect not in _NAMES:
        raise Finding(Reason.BAD_RESPONSE, "the server chose a dialect that was not offered")
    encrypts = _ciphers(data, at, contexts) if dialect == DIALECTS["3.1.1"] else bool(able & _CAN_ENCRYPT)
    return Answer(
        dialect, bool(security & _SIGNING_REQUIRED), encrypts, clock / _STEPS_HZ - _TO_UNIX_S if clock else None
    )


def _ciphers(data: bytes, at: int, contexts: int) -> bool:
    """Whether the server chose a cipher; with 3.1.1 it says so in a context."""
    for _ in range(min(contexts, 16)):
        if at + _CONTEXT.size > len(data):
            break
        kind, size, _ = _CONTEXT.unpack_from(data, at)
        content = data[at + _CONTEXT.size : at + _CONTEXT.size + size]
        if kind == _ENCRYPTION:
            return len(content) >= 4 and content[2:4] != b"\0\0"
        at += _CONTEXT.size + size + (-size % 8)
    return False


def measured(answer: Answer, now: float) -> dict[str, Value]:
    """What a server agrees to."""
    fields: dict[str, Value] = {
        "dialect": _NAMES[answer.dialect],
        "signing_required": answer.signing_required,
        "encryption": answer.encryption,
    }
    return fields if answer.time is None else fields | {"clock_offset_seconds": answer.time - now}


def judge(answer: Answer, params: Params) -> None:
    """Raises Finding(bad_body) with the first thing that is not good enough."""
    if answer.dialect < DIALECTS[params.min_dialect]:
        raise Finding(Reason.BAD_BODY, f"dialect {_NAMES[answer.dialect]} is older than {params.min_dialect}")
    if params.require_signing and not answer.signing_required:
        raise Finding(Reason.BAD_BODY, "signing is not required")
    if params.require_encryption and not answer.encryption:
        raise Finding(Reason.BAD_BODY, "encryption is not offered")
