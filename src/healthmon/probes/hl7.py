"""HL7 v2 over MLLP: does the interface listen, and does an approved test channel acknowledge a sentinel message."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.address import host_port
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.connect import Trust
from healthmon.probes.dialogue import Dialogue, Place
from healthmon.probes.hl7_wire import GOOD_CODES, parse_ack, read_block, sentinel
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_network
from healthmon.probes.reasons import Finding
from healthmon.probes.silence import INTERFACE_FAMILY
from healthmon.probes.spacing import Spacing, check_spacing

FAMILIES = (
    Family(
        "hl7",
        frozenset({"dns_seconds", "connect_seconds", "tls_seconds", "settle_seconds", "ack_seconds"})
        | {"duration_seconds", "ack_code"},
    ),
    INTERFACE_FAMILY,
    TLS_FAMILY,
)

MODES = ("connect", "message")
VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")
PROCESSING = ("T", "D")  # training, debugging; never P (production)
#: A local (Z) message, or the network management query. Nothing that a system could take for care.
_HARMLESS_TYPE = re.compile(r"Z[A-Z0-9]{2}\^Z[A-Z0-9]{2}|NMQ\^N01")
_NAME = re.compile(r"[A-Za-z0-9 ._-]{0,64}")
_LEAST_S = {"connect": 10.0, "message": 60.0}


@dataclass(frozen=True, slots=True)
class TestChannel:
    """Who said, and on which day, that messages to this channel reach no live system."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    __test__: ClassVar[bool] = False  # not a test case, whatever pytest thinks of the name

    approved_by: str
    approved_on: date

    def __post_init__(self) -> None:
        if not self.approved_by.strip():
            raise ValueError("approved_by: is empty (allowed: the name of a person)")


@dataclass(frozen=True, slots=True)
class Params:
    """`mode: message` sends the sentinel and is only allowed with `test_channel`; the default only connects."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    mode: str = "connect"
    test_channel: TestChannel | None = None
    message_type: str = "ZHM^Z01"
    version: str = "2.5"
    processing_id: str = "T"
    sending_application: str = "HEALTHMON"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    settle_s: float = 0.2
    min_every_s: float = 60.0
    tls: bool = False
    verify: bool = True
    ca_file: str | None = None
    min_version: str = "1.2"
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    ip_version: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: {self.mode} (allowed: {', '.join(MODES)})")
        if self.mode == "message" and self.test_channel is None:
            raise ValueError("mode: message needs test_channel (allowed: {approved_by: NAME, approved_on: DATE})")
        if not _HARMLESS_TYPE.fullmatch(self.message_type):
            raise ValueError(f"message_type: {self.message_type} (allowed: Zxx^Zxx, NMQ^N01)")
        if self.processing_id not in PROCESSING:
            raise ValueError(f"processing_id: {self.processing_id} (allowed: {', '.join(PROCESSING)})")
        if self.version not in VERSIONS:
            raise ValueError(f"version: {self.version} (allowed: {', '.join(VERSIONS)})")
        self._check_names()
        self._check_connection()
        check_spacing(self.min_every_s, _LEAST_S[self.mode])

    def _check_names(self) -> None:
        for name in ("sending_application", "sending_facility", "receiving_application", "receiving_facility"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: is not a plain name (allowed: letters, digits, space . _ -, up to 64)")

    def _check_connection(self) -> None:
        check_network(self.port, self.ip_version, self.min_version)
        if not 0.0 <= self.settle_s <= 5.0:
            raise ValueError(f"settle: {self.settle_s:g} s (allowed: 0s to 5s)")

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file)


class Hl7Probe:
    """Connects. Only to a channel that a person has marked as a test channel does it send a message."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._spacing = Spacing()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, closed, timeout, bad_status (AE, AR), bad_body, bad_response ..."""
        params = self._settings.of(job)
        self._spacing.enter(job, sight, params.min_every_s)
        _approved(params, sight.clock.now())
        host, port = host_port(job.address, params.port)
        place = Place(host, params.port or port, params.ip_version, params.trust(), params.tls, params.server_name)

        async def talk(call: Dialogue) -> None:
            reader, writer = await call.streams()
            if params.mode == "message":
                await _exchange(call, params, reader, writer)
            elif params.settle_s > 0.0:
                await _settle(call, params.settle_s, reader)

        return await Dialogue(job, sight, "hl7", place).hold(talk)


async def _settle(call: Dialogue, settle_s: float, reader: asyncio.StreamReader) -> None:
    """A balancer without a backend accepts and closes at once: wait a moment, expecting nothing."""
    call.phases.enter("settle")
    try:
        async with asyncio.timeout(settle_s):
            got = await reader.read(1)
    except TimeoutError:
        return
    if got:
        raise Finding(Reason.BAD_RESPONSE, "an MLLP listener does not speak first")
    raise Finding(Reason.CLOSED, "closed at once, without a message")


async def _exchange(call: Dialogue, params: Params, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    control_id = f"HM{secrets.token_hex(8).upper()}"
    message = sentinel(
        message_type=params.message_type,
        control_id=control_id,
        at=call.sight.clock.now(),
        version=params.version,
        sender=(params.sending_application, params.sending_facility),
        receiver=(params.receiving_application, params.receiving_facility),
        processing_id=params.processing_id,
    )
    call.phases.enter("ack")
    call.sight.trace(f"sentinel {params.message_type}, {len(message)} bytes")
    writer.write(message)
    ack = parse_ack(await read_block(reader))
    call.phases.enter("")
    call.sight.trace(f"acknowledged {ack.code}")
    call.fields["ack_code"] = ack.code
    if ack.control_id != control_id:
        raise Finding(Reason.BAD_BODY, "the acknowledgement is for another message")
    if ack.code not in GOOD_CODES:
        raise Finding(Reason.BAD_STATUS, ack.code)


def _approved(params: Params, now: float) -> None:
    """An approval that is dated in the future is none."""
    channel = params.test_channel
    if params.mode == "message" and (channel is None or channel.approved_on > datetime.fromtimestamp(now, UTC).date()):
        raise Finding(Reason.BAD_PARAMS, "test_channel.approved_on lies in the future")
