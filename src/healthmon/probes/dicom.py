"""DICOM: does the application entity associate, answer C-ECHO, and find a sentinel by C-FIND."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
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
from healthmon.probes.dicom_association import NOT_AUTHORISED, SUCCESS, Association
from healthmon.probes.dicom_wire import FIND_MODELS, VERIFICATION, Context, data_set
from healthmon.probes.held import Held
from healthmon.probes.look import Settings, samples_of
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding
from healthmon.probes.spacing import check_spacing

FAMILIES = (
    Family(
        "dicom",
        frozenset({"dns_seconds", "connect_seconds", "tls_seconds", "associate_seconds", "echo_seconds"})
        | {"find_seconds", "release_seconds", "duration_seconds", "status_code", "matches"},
    ),
    TLS_FAMILY,
)

DEFAULT_PORT = 104
_LEAST_S = 30.0
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,15})")
#: No wildcard, no list, no range: a sentinel is one thing.
_VALUE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEYS = {"accession_number": (0x0008, 0x0050), "patient_id": (0x0010, 0x0020), "study_uid": (0x0020, 0x000D)}
_LEVEL = (0x0008, 0x0052)
_LEVELS = {"study_root": "STUDY", "patient_root": "PATIENT"}
_ECHO = Context(1, VERIFICATION)


@dataclass(frozen=True, slots=True)
class DicomFind:
    """One test study or test patient that must always be found: exactly this value of this key."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    key: str
    value: str
    model: str = "study_root"

    def __post_init__(self) -> None:
        if self.key not in _KEYS:
            raise ValueError(f"key: {self.key} (allowed: {', '.join(_KEYS)})")
        if self.model not in FIND_MODELS:
            raise ValueError(f"model: {self.model} (allowed: {', '.join(FIND_MODELS)})")
        if self.model == "patient_root" and self.key != "patient_id":
            raise ValueError(f"key: {self.key} (allowed with patient_root: patient_id)")
        if not _VALUE.fullmatch(self.value):
            raise ValueError("value: is not one plain value (allowed: letters, digits, . _ -, up to 64, no wildcard)")

    @property
    def tag(self) -> tuple[int, int]:
        """The element that is asked for."""
        return _KEYS[self.key]

    def identifier(self) -> bytes:
        """The query: the key and, outside the worklist, the level. No other attribute is asked for."""
        level = {_LEVEL: _LEVELS[self.model]} if self.model in _LEVELS else {}
        return data_set({self.tag: self.value, **level})


@dataclass(frozen=True, slots=True)
class Params:
    """AE titles as the target knows them; `echo` and `find` share one association."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    called_ae: str = "ANY-SCP"
    calling_ae: str = "HEALTHMON"
    echo: bool = True
    find: DicomFind | None = None
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
        for name in ("called_ae", "calling_ae"):
            if not _AE_TITLE.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: is not an AE title (allowed: 1 to 16 printable characters, no backslash)")
        if not self.echo and self.find is None:
            raise ValueError("echo: false leaves nothing to ask (allowed: with find)")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"port: {self.port} (allowed: 1 to 65535)")
        if self.min_version not in TLS_VERSIONS:
            raise ValueError(f"min_version: {self.min_version} (allowed: {', '.join(TLS_VERSIONS)})")
        if self.ip_version not in (0, 4, 6):
            raise ValueError(f"ip_version: {self.ip_version} (allowed: 0 for both, 4, 6)")
        check_spacing(self.min_every_s, _LEAST_S)

    def trust(self) -> Trust:
        """The TLS half."""
        return Trust(self.ca_file, self.verify, self.min_version, self.cert_file, self.key_file)

    def contexts(self) -> list[Context]:
        """What the association offers."""
        found = [Context(3, FIND_MODELS[self.find.model])] if self.find else []
        return [_ECHO, *found] if self.echo else found


class DicomProbe:
    """Asks and releases; stores nothing, moves nothing, and looks at no attribute but the sentinel's own."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._held = Held()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, auth_failed (AE title), bad_status, bad_body (no sentinel), closed ..."""
        params = self._settings.of(job)
        call = Call(job, params, sight)
        return await self._held.reading(job, sight, params, call, call.make)


class Call:
    """The state of one run."""

    def __init__(self, job: Job, params: Params, sight: Sight) -> None:
        self.phases = Phases(sight)
        self._job = job
        self._params = params
        self._sight = sight
        self._fields: dict[str, Value] = {}
        self._certificate: list[Sample] = []

    async def make(self) -> None:
        """Connect, associate, ask, release. Raises OSError, Finding, Forbidden."""
        params = self._params
        self.phases.enter("dns")
        host, port = host_port(self._job.address, params.port or DEFAULT_PORT)
        addresses = of_version(await self._sight.resolve(host, params.port or port), params.ip_version)
        left_s = max(0.01, self._job.timeout_s - self.phases.total_s())
        async with asyncio.timeout(left_s):
            streams = await self._open(addresses, params.server_name or host, left_s)
            association = Association(streams)
            try:
                await self._ask(association)
            finally:
                association.abort()
                hang_up(streams[1])
        self.phases.enter("")

    def samples(self) -> list[Sample]:
        """Everything known so far."""
        return samples_of("dicom", {**self.phases.fields(), **self._fields}) + self._certificate

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

    async def _ask(self, association: Association) -> None:
        params = self._params
        self.phases.enter("associate")
        await association.open(called=params.called_ae, calling=params.calling_ae, contexts=params.contexts())
        if params.echo:
            self.phases.enter("echo")
            self._good(await association.echo(_ECHO), "C-ECHO")
        if params.find is not None:
            self.phases.enter("find")
            await self._find(association, params.find)
        self.phases.enter("release")
        await association.release()

    async def _find(self, association: Association, sentinel: DicomFind) -> None:
        context = Context(3, FIND_MODELS[sentinel.model])
        status, matches = await association.find(
            context, identifier=sentinel.identifier(), tag=sentinel.tag, value=sentinel.value
        )
        self._fields["matches"] = float(matches)
        self._good(status, "C-FIND")
        if matches == 0:
            raise Finding(Reason.BAD_BODY, "the sentinel was not found")

    def _good(self, status: int, service: str) -> None:
        self._fields["status_code"] = float(status)
        self._sight.trace(f"{service} status 0x{status:04X}")
        if status == NOT_AUTHORISED:
            raise Finding(Reason.AUTH_FAILED, f"{service}: not authorised")
        if status != SUCCESS:
            raise Finding(Reason.BAD_STATUS, f"{service} status 0x{status:04X}")
