"""HL7 v2 over MLLP: does the interface listen, and does an approved test channel acknowledge a sentinel message."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value
from healthmon.probes.address import host_port
from healthmon.probes.certificate import TLS_FAMILY, samples_of_peer
from healthmon.probes.connect import (
    TLS_VERSIONS,
    Streams,
    Trust,
    dial,
    hang_up,
    of_version,
    open_streams,
    tls_object,
)
from healthmon.probes.held import Held
from healthmon.probes.hl7_wire import GOOD_CODES, Ack, parse_ack, read_block, sentinel
from healthmon.probes.look import Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding
from healthmon.probes.silence import INTERFACE_FAMILY
from healthmon.probes.spacing import check_spacing

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
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"port: {self.port} (allowed: 1 to 65535)")
        if self.min_version not in TLS_VERSIONS:
            raise ValueError(f"min_version: {self.min_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")
        if not 0.0 <= self.settle_s <= 5.0:
            raise ValueError(f"settle: {self.settle_s:g} s (allowed: 0s to 5s)")

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file)


class Hl7Probe:
    """Connects. Only to a channel that a person has marked as a test channel does it send a message."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._held = Held()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, closed, timeout, bad_status (AE, AR), bad_body, bad_response ..."""
        params = self._settings.of(job)
        talk = Talk(job, params, sight)
        return await self._held.reading(job, sight, params, talk, talk.make)


class Talk:
    """The state of one run."""

    def __init__(self, job: Job, params: Params, sight: Sight) -> None:
        self.phases = Phases(sight)
        self._job = job
        self._params = params
        self._sight = sight
        self._fields: dict[str, Value] = {}
        self._certificate: list[Sample] = []

    async def make(self) -> None:
        """Connect, and by mode settle or send. Raises OSError, Finding, Forbidden."""
        params = self._params
        _approved(params, self._sight.clock.now())
        self.phases.enter("dns")
        host, port = host_port(self._job.address, params.port)
        addresses = of_version(await self._sight.resolve(host, params.port or port), params.ip_version)
        left_s = max(0.01, self._job.timeout_s - self.phases.total_s())
        async with asyncio.timeout(left_s):
            reader, writer = await self._open(addresses, params.server_name or host, left_s)
            try:
                await (self._exchange(reader, writer) if params.mode == "message" else self._settle(reader))
            finally:
                hang_up(writer)
        self.phases.enter("")

    def samples(self) -> list[Sample]:
        """Everything known so far."""
        return samples_of("hl7", {**self.phases.fields(), **self._fields}) + self._certificate

    async def _open(self, addresses: list[Address], name: str, left_s: float) -> Streams:
        self.phases.enter("connect")
        sock, address = await dial(addresses[:1] if addresses[0].gentle else addresses, left_s)
        self._sight.trace(f"connected to {address.ip} port {address.port}")
        if not self._params.tls:
            return await open_streams(sock)
        self.phases.enter("tls")
        reader, writer = await open_streams(sock, self._params.trust(), name)
        peer = tls_object(writer)
        self._certificate = samples_of_peer(peer, self._sight.clock.now()) if peer else []
        return reader, writer

    async def _settle(self, reader: asyncio.StreamReader) -> None:
        """A balancer without a backend accepts and closes at once: wait a moment, expecting nothing."""
        if self._params.settle_s == 0.0:
            return
        self.phases.enter("settle")
        try:
            async with asyncio.timeout(self._params.settle_s):
                got = await reader.read(1)
        except TimeoutError:
            return
        if got:
            raise Finding(Reason.BAD_RESPONSE, "an MLLP listener does not speak first")
        raise Finding(Reason.CLOSED, "closed at once, without a message")

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        params, control_id = self._params, f"HM{secrets.token_hex(8).upper()}"
        message = sentinel(
            message_type=params.message_type,
            control_id=control_id,
            at=self._sight.clock.now(),
            version=params.version,
            sender=(params.sending_application, params.sending_facility),
            receiver=(params.receiving_application, params.receiving_facility),
            processing_id=params.processing_id,
        )
        self.phases.enter("ack")
        self._sight.trace(f"sentinel {params.message_type}, {len(message)} bytes")
        writer.write(message)
        ack = parse_ack(await read_block(reader))
        self.phases.enter("")
        self._sight.trace(f"acknowledged {ack.code}")
        self._judge(ack, control_id)

    def _judge(self, ack: Ack, control_id: str) -> None:
        self._fields["ack_code"] = ack.code
        if ack.control_id != control_id:
            raise Finding(Reason.BAD_BODY, "the acknowledgement is for another message")
        if ack.code not in GOOD_CODES:
            raise Finding(Reason.BAD_STATUS, ack.code)


def _approved(params: Params, now: float) -> None:
    """An approval that is dated in the future is none."""
    channel = params.test_channel
    if params.mode == "message" and (channel is None or channel.approved_on > datetime.fromtimestamp(now, UTC).date()):
        raise Finding(Reason.BAD_PARAMS, "test_channel.approved_on lies in the future")
