"""DICOM: does the application entity associate, answer C-ECHO, and find a sentinel by C-FIND."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.address import host_port
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.connect import Trust
from healthmon.probes.dialogue import Dialogue, Place
from healthmon.probes.dicom_association import NOT_AUTHORISED, SUCCESS, Association
from healthmon.probes.dicom_wire import FIND_MODELS, VERIFICATION, Context, data_set
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_network
from healthmon.probes.reasons import Finding
from healthmon.probes.spacing import Spacing, check_spacing

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
        check_network(self.port, self.ip_version, self.min_version)
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
        self._spacing = Spacing()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with refused, auth_failed (AE title), bad_status, bad_body (no sentinel), closed ..."""
        params = self._settings.of(job)
        self._spacing.enter(job, sight, params.min_every_s)
        host, port = host_port(job.address, params.port or DEFAULT_PORT)
        place = Place(host, params.port or port, params.ip_version, params.trust(), params.tls, params.server_name)

        async def talk(call: Dialogue) -> None:
            association = Association(await call.streams())
            try:
                await _ask(call, association, params)
            finally:
                association.abort()

        return await Dialogue(job, sight, "dicom", place).hold(talk)


async def _ask(call: Dialogue, association: Association, params: Params) -> None:
    """Associate, ask, release."""
    call.phases.enter("associate")
    await association.open(called=params.called_ae, calling=params.calling_ae, contexts=params.contexts())
    if params.echo:
        call.phases.enter("echo")
        _judge(call, await association.echo(_ECHO), "C-ECHO")
    if params.find is not None:
        call.phases.enter("find")
        await _find(call, association, params.find)
    call.phases.enter("release")
    await association.release()


async def _find(call: Dialogue, association: Association, sentinel: DicomFind) -> None:
    context = Context(3, FIND_MODELS[sentinel.model])
    status, matches = await association.find(
        context, identifier=sentinel.identifier(), tag=sentinel.tag, value=sentinel.value
    )
    call.fields["matches"] = float(matches)
    _judge(call, status, "C-FIND")
    if matches == 0:
        raise Finding(Reason.BAD_BODY, "the sentinel was not found")


def _judge(call: Dialogue, status: int, service: str) -> None:
    call.fields["status_code"] = float(status)
    call.sight.trace(f"{service} status 0x{status:04X}")
    if status == NOT_AUTHORISED:
        raise Finding(Reason.AUTH_FAILED, f"{service}: not authorised")
    if status != SUCCESS:
        raise Finding(Reason.BAD_STATUS, f"{service} status 0x{status:04X}")
